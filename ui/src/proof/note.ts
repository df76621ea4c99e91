// C2SP signed notes and tlog checkpoints: reading them, and checking an Ed25519 signature.
import { concat, fromBase64, hex, sha256, utf8, type Bytes } from './bytes';

export interface Checkpoint {
  origin: string;
  size: number;
  /** Base64, as the note has it. */
  root: string;
  /** What is signed. */
  text: string;
  signatures: { name: string; keyId: string; signature: Bytes }[];
}

/** Reads a checkpoint without believing it. */
export function readCheckpoint(note: string): Checkpoint | undefined {
  const split = note.lastIndexOf('\n\n');
  if (split < 0) return undefined;
  const text = note.slice(0, split + 1);
  const [origin, size, root] = text.split('\n');
  if (!origin || !size || !root || !/^(0|[1-9][0-9]*)$/.test(size)) return undefined;
  const signatures = [];
  for (const line of note.slice(split + 2).split('\n')) {
    if (line === '') continue;
    const found = /^\u2014 (\S+) (\S+)$/.exec(line);
    const bytes = found?.[2] ? fromBase64(found[2]) : undefined;
    if (!found?.[1] || !bytes || bytes.length < 5) return undefined;
    signatures.push({ name: found[1], keyId: hex(bytes.slice(0, 4)), signature: bytes.slice(4) });
  }
  return { origin, size: Number(size), root, text, signatures };
}

/** `name+key id+base64(0x01 || public key)`. */
export async function readVerifierKey(
  text: string,
): Promise<{ name: string; keyId: string; key: Bytes } | undefined> {
  const [name, keyId, ...rest] = text.trim().split('+');
  const bytes = fromBase64(rest.join('+'));
  if (!name || !keyId || bytes?.length !== 33 || bytes[0] !== 1) return undefined;
  const id = (await sha256(concat(utf8(`${name}\n`), bytes))).slice(0, 4);
  return hex(id) === keyId ? { name, keyId, key: bytes.slice(1) } : undefined;
}

export type Signed = 'good' | 'bad' | 'absent' | 'unsupported';

/** Whether the checkpoint bears a good signature by the verifier key. */
export async function checkSignature(checkpoint: Checkpoint, verifierKey: string): Promise<Signed> {
  const key = await readVerifierKey(verifierKey);
  if (!key) return 'unsupported';
  const made = checkpoint.signatures.find((s) => s.name === key.name && s.keyId === key.keyId);
  if (!made) return 'absent';
  try {
    const imported = await crypto.subtle.importKey('raw', key.key, { name: 'Ed25519' }, false, ['verify']);
    const good = await crypto.subtle.verify({ name: 'Ed25519' }, imported, made.signature, utf8(checkpoint.text));
    return good ? 'good' : 'bad';
  } catch {
    return 'unsupported';
  }
}

/** Whether a base64 root is the hexadecimal one. */
export function sameRoot(inBase64: string, inHex: string): boolean {
  const bytes = fromBase64(inBase64);
  return bytes !== undefined && hex(bytes) === inHex;
}
