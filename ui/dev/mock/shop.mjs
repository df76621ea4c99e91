// The pretended shop: checks, workloads of shop and payments, and what each check says of each.
export const CHECKS = [
  ['bartizanprivileged', 'Privileged container', 'critical', 'A privileged container has every capability and device of its node; whoever breaks into it owns the node.', 'Remove `privileged: true` and grant the one capability that is needed.', 'securityContext.privileged', 'true', 'false or not set', true],
  ['bartizanhostnamespaces', 'Host namespaces shared', 'critical', 'Sharing the host’s PID, IPC or network namespace lets the Pod see and reach what belongs to the node.', 'Leave hostPID, hostIPC and hostNetwork unset.', 'spec.hostPID', 'true', 'false or not set', false],
  ['bartizanhostpath', 'Host path mounted', 'high', 'A hostPath volume reads or writes the node’s files past every quota and policy.', 'Use a PersistentVolumeClaim, a ConfigMap or an emptyDir.', 'spec.volumes[0].hostPath.path', '/var/run', 'no hostPath volume', false],
  ['bartizanrunasnonroot', 'Container may run as root', 'high', 'A process that runs as root inside is root for the kernel too, should it get out.', 'Set `runAsNonRoot: true` and a numeric `runAsUser` above 0.', 'securityContext.runAsNonRoot', null, 'true', true],
  ['bartizancapabilities', 'Capabilities not dropped', 'high', 'Containers keep a default set of capabilities that nearly none of them needs.', 'Drop ALL, then add back only NET_BIND_SERVICE where it is needed.', 'securityContext.capabilities.drop', '[]', '["ALL"]', true],
  ['bartizanprivilegeescalation', 'Privilege escalation allowed', 'medium', 'A set-uid binary can raise the process above what it started with.', 'Set `allowPrivilegeEscalation: false`.', 'securityContext.allowPrivilegeEscalation', null, 'false', true],
  ['bartizanseccomp', 'No seccomp profile', 'medium', 'Without a profile every system call is open to the process.', 'Set `seccompProfile.type: RuntimeDefault`.', 'securityContext.seccompProfile.type', null, 'RuntimeDefault or Localhost', true],
  ['bartizanreadonlyroot', 'Root file system is writable', 'medium', 'A writable root lets an intruder leave tools behind.', 'Set `readOnlyRootFilesystem: true` and mount an emptyDir where writing is needed.', 'securityContext.readOnlyRootFilesystem', null, 'true', true],
  ['bartizanlatesttag', 'Image without a fixed tag', 'medium', 'An image that moves cannot be audited: what ran yesterday is not what runs today.', 'Pin the image by digest, or at least by a version tag.', 'image', 'registry.example/shop/web:latest', 'a version tag or digest', true],
  ['bartizanresources', 'No memory limit', 'medium', 'One container without a limit can starve the node.', 'Set `resources.limits.memory`.', 'resources.limits.memory', null, 'a limit', true],
  ['bartizanserviceaccounttoken', 'Service account token mounted', 'medium', 'A token that nobody uses is a key to the API server for an intruder.', 'Set `automountServiceAccountToken: false` on the Pod.', 'spec.automountServiceAccountToken', null, 'false', false],
  ['bartizanallowedrepos', 'Image from a foreign registry', 'high', 'Images from outside were not scanned by the pipeline.', 'Mirror the image and name the mirror.', 'image', 'docker.example/library/redis:7', 'one of the allowed prefixes', true],
  ['bartizanrequiredlabels', 'Owner label missing', 'low', 'Nobody knows whom to call at night.', 'Add the label `owner`.', 'metadata.labels.owner', null, 'a team name', false],
  ['bartizanprobes', 'No readiness probe', 'low', 'Traffic reaches the Pod before it can serve.', 'Add a `readinessProbe`.', 'readinessProbe', null, 'a probe', true],
  ['bartizanhostport', 'Host port used', 'medium', 'A host port binds to the node’s address, past network policies.', 'Use a Service.', 'ports[0].hostPort', '8080', 'not set', true],
  ['bartizanvolumetypes', 'Volume type not allowed', 'low', 'Only volume types of the restricted profile are safe by themselves.', 'Use configMap, emptyDir, projected, secret or persistentVolumeClaim.', 'spec.volumes[1]', 'nfs', 'a restricted type', false],
  ['bartizansysctls', 'Unsafe sysctl', 'high', 'Unsafe sysctls reach beyond the Pod.', 'Remove the sysctl.', 'spec.securityContext.sysctls', 'net.core.somaxconn', 'a safe sysctl', false],
  ['bartizanpdb', 'No disruption budget', 'info', 'A node drain may stop every replica at once.', 'Add a PodDisruptionBudget.', 'policy/PodDisruptionBudget', null, 'one that selects it', false],
  ['bartizanprocmount', 'Unmasked /proc', 'high', 'An unmasked /proc shows the node’s kernel settings.', 'Leave procMount unset.', 'securityContext.procMount', 'Unmasked', 'Default', true],
  ['bartizanseLinux', 'SELinux type overridden', 'medium', 'A custom SELinux type can undo the confinement.', 'Leave seLinuxOptions unset.', 'securityContext.seLinuxOptions.type', 'spc_t', 'a container type', true],
].map(([rule, title, severity, description, remediation, path, actual, expected, inside]) => ({
  uid: `rego/bartizan/${rule.toLowerCase()}`, title, severity, description, remediation, path, actual, expected, inside,
  references: ['https://kubernetes.io/docs/concepts/security/pod-security-standards/', ...(severity === 'critical' ? ['https://csrc.nist.gov/pubs/sp/800/190/final'] : [])],
}));

const WORKLOADS = [
  ['shop', 'Deployment', 'frontend', ['web', 'metrics'], 'frontend.yaml', 3],
  ['shop', 'Deployment', 'catalog', ['catalog'], 'catalog.yaml', 1],
  ['shop', 'Deployment', 'cart', ['cart', 'cache'], 'cart.yaml', 5],
  ['shop', 'Deployment', 'checkout', ['checkout'], 'checkout.yaml', 2],
  ['shop', 'Deployment', 'search', ['search'], 'search.yaml', 4],
  ['shop', 'Deployment', 'recommendation', ['model'], 'recommendation.yaml', 6],
  ['shop', 'StatefulSet', 'redis', ['redis', 'exporter'], 'redis.yaml', 7],
  ['shop', 'CronJob', 'nightly-reindex', ['reindex'], 'jobs.yaml', 4],
  ['shop', 'DaemonSet', 'log-shipper', ['shipper'], 'logging.yaml', 9],
  ['shop', 'Job', 'migrate-2026-11', ['migrate'], 'jobs.yaml', 3],
  ['payments', 'Deployment', 'gateway', ['gateway'], 'gateway.yaml', 0],
  ['payments', 'Deployment', 'ledger-sync', ['sync', 'sidecar'], 'ledger-sync.yaml', 8],
  ['payments', 'Deployment', 'fraud-scoring', ['scoring'], 'fraud.yaml', 2],
  ['payments', 'StatefulSet', 'postgres', ['postgres'], 'postgres.yaml', 5],
  ['payments', 'CronJob', 'settlement', ['settle'], 'settlement.yaml', 3],
  ['payments', 'Pod', 'debug-shell', ['shell'], 'debug.yaml', 10],
  ['payments', 'DaemonSet', 'node-agent', ['agent'], 'agent.yaml', 9],
  ['payments', 'Deployment', 'invoice-render', ['render'], 'charts/invoice/templates/deployment.yaml', -1],
];

/** A number from a text, the same in every run. */
export function hash(text) {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  h = Math.imul(h ^ (h >>> 15), 2246822519);
  return (h ^ (h >>> 13)) >>> 0;
}

export const SCOPES = ['repository:shop', 'cluster:staging'];
const RANK = { critical: 4, high: 3, medium: 2, low: 1, info: 0 };

/** What every check says of every workload of a scope. */
export function results(scope) {
  const out = [];
  for (const [namespace, kind, name, containers, file, badness] of WORKLOADS) {
    if (scope === 'cluster:staging' && hash(name) % 3 === 0) continue;
    const asset = { uid: `${scope}/${kind === 'Pod' ? '' : kind.includes('Job') ? 'batch' : 'apps'}/${kind}/${namespace}/${name}`, kind, name, namespace };
    for (const check of CHECKS) {
      for (const [i, container] of (check.inside ? containers : ['']).entries()) {
        const locus = container ? `container:${container}` : '';
        const roll = hash(`${scope}|${name}|${container}|${check.uid}`) % 100;
        // Some checks everybody meets, so that the score says something.
        const met = ['sysctls', 'procmount', 'selinux', 'volumetypes', 'probes', 'hostport', 'serviceaccounttoken', 'allowedrepos', 'pdb'].some((rule) => check.uid.endsWith(rule));
        const threshold = met ? 0 : badness * (check.severity === 'critical' ? 3 : check.severity === 'high' ? 4.5 : 8);
        let outcome = roll < threshold ? 'fail' : 'pass';
        let why = null;
        if (badness < 0) [outcome, why] = ['unknown', `${file} is a Helm template that was not rendered. Render it: helm template invoice ./charts/invoice | bartizan scan k8s -`];
        else if (check.uid.endsWith('hostport') && roll > 60) [outcome, why] = ['not_applicable', 'The container declares no port.'];
        else if (check.uid.endsWith('pdb') && kind !== 'Deployment') [outcome, why] = ['not_applicable', 'Only Deployments are asked.'];
        const path = check.inside ? `spec.template.spec.containers[${i}].${check.path}` : check.path;
        out.push({ scope, check, asset, locus, outcome, why, path, file: `examples/shop/${namespace}/${file}`, line: 9 + (hash(name + check.uid) % 60), rank: RANK[check.severity] });
      }
    }
  }
  return out;
}
