// Commands that the console tells people to run, as the command line tool takes them.

/** Sends a scan of a folder to this server. */
export function scanCommand(token = 'YOUR_TOKEN', extra = ''): string {
  return `BARTIZAN_TOKEN=${token} bartizan scan k8s ./manifests${extra} --server ${location.origin}`;
}

/** Lets a machine take the scans that are asked of it. */
export function agentCommand(token = 'YOUR_TOKEN'): string {
  return `BARTIZAN_TOKEN=${token} bartizan agent --server ${location.origin}`;
}

/** Issues an attestation from a terminal. */
export function attestCommand(scope: string, framework: string): string {
  return `BARTIZAN_TOKEN=YOUR_TOKEN bartizan attest --scope ${scope || 'SCOPE'} --framework ${framework} -o attestation.jwt --server ${location.origin}`;
}

/** Verifies a token offline. */
export function verifyCommand(file: string): string {
  return `bartizan verify ${file} --jwks jwks.json`;
}
