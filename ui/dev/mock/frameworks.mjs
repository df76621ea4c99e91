// Three pretended frameworks, with titles in our own words, and scoring as `posture` does it.
const rows = (text) => text.trim().split('\n').map((line) => line.split('|').map((part) => part.trim()));

const NIST = rows(`
AC-2 | Accounts are managed | Access Control |
AC-3 | Access is enforced | Access Control | serviceaccounttoken
AC-4 | Information flow is controlled | Access Control | hostport,hostnamespaces
AC-6 | Least privilege | Access Control | privileged,capabilities,runasnonroot
AC-6(9) | Use of privileges is logged | Access Control |
AC-6(10) | Ordinary users cannot use privileges | Access Control | privilegeescalation
AU-2 | Events to log are chosen | Audit and Accountability |
AU-9 | Audit records are protected | Audit and Accountability | hostpath
AU-12 | Audit records are made | Audit and Accountability |
CM-2 | A baseline configuration exists | Configuration Management | latesttag,requiredlabels
CM-6 | Settings are hardened | Configuration Management | seccomp,readonlyroot,sysctls
CM-7 | Least functionality | Configuration Management | hostport,capabilities,volumetypes
CM-7(2) | Programs not allowed do not run | Configuration Management | allowedrepos
CM-8 | Components are listed | Configuration Management | requiredlabels
CP-10 | The system recovers | Contingency Planning | pdb,probes
IA-5 | Authenticators are managed | Identification and Authentication | serviceaccounttoken
IR-4 | Incidents are handled | Incident Response |
RA-5 | Vulnerabilities are looked for | Risk Assessment |
SC-2 | User functions are apart from management | System and Communications Protection | hostnamespaces
SC-3 | Security functions are isolated | System and Communications Protection | privileged,procmount
SC-5 | Denial of service is limited | System and Communications Protection | resources
SC-6 | Resources are shared fairly | System and Communications Protection | resources
SC-39 | Processes are isolated | System and Communications Protection | hostnamespaces,procmount,selinux
SI-3 | Malicious code is kept out | System and Information Integrity | allowedrepos,readonlyroot
SI-7 | Software and firmware are intact | System and Information Integrity | latesttag
SI-16 | Memory is protected | System and Information Integrity | seccomp
`);
const SOC2 = rows(`
CC1.1 | Integrity and values are shown | Control environment |
CC2.1 | Good information is used | Communication |
CC3.2 | Risks are found and weighed | Risk assessment |
CC5.2 | Controls over technology are chosen | Control activities | seccomp,capabilities
CC6.1 | Access is restricted by design | Logical and physical access | serviceaccounttoken,runasnonroot
CC6.2 | Users are registered first | Logical and physical access |
CC6.3 | Access follows the role | Logical and physical access | privileged,privilegeescalation
CC6.6 | Threats from outside are kept out | Logical and physical access | hostport,hostnamespaces
CC6.8 | Unauthorised software is kept out | Logical and physical access | allowedrepos,latesttag,readonlyroot
CC7.1 | Changes to configuration are noticed | System operations | requiredlabels
CC7.2 | Anomalies are watched for | System operations |
CC8.1 | Changes are managed | Change management | latesttag
A1.2 | Recovery is designed in | Availability | pdb,probes,resources
`);
const CIS = rows(`
5.1.1 | Cluster-admin is rarely used | 5.1 Access and service accounts |
5.1.6 | Tokens are mounted only where needed | 5.1 Access and service accounts | serviceaccounttoken
5.2.2 | No privileged containers | 5.2 Pod security | privileged
5.2.3 | No shared PID namespace | 5.2 Pod security | hostnamespaces
5.2.6 | No privilege escalation | 5.2 Pod security | privilegeescalation
5.2.7 | No root containers | 5.2 Pod security | runasnonroot
5.2.8 | No raw sockets | 5.2 Pod security | capabilities
5.2.11 | No Windows host processes | 5.2 Pod security | procmount
5.2.12 | No host path volumes | 5.2 Pod security | hostpath
5.2.13 | No host ports | 5.2 Pod security | hostport
5.3.2 | Every namespace has network policies | 5.3 Network |
5.5.1 | Image provenance is checked | 5.5 Admission | allowedrepos
5.7.2 | Seccomp profile is set | 5.7 General | seccomp
5.7.3 | Security context is applied | 5.7 General | readonlyroot,selinux
5.7.4 | Default namespace is not used | 5.7 General | sysctls
`);

const digest = (n) => `sha256:${n.repeat(64).slice(0, 64)}`;
const build = (id, title, version, source, list, mark) => ({
  id, title, version, source, digest: digest(mark),
  controls: list.map(([control, name, group, checks]) => ({
    id: control, title: name, group,
    checks: (checks ?? '').split(',').filter(Boolean).map((rule) => `rego/bartizan/bartizan${rule}`),
    guidance: checks ? 'Met when no workload fails the checks that reach this control.' : 'Look at the written procedure, take a sample from the last quarter, and upload what you saw.',
  })),
});

export const FRAMEWORKS = [
  build('nist-800-53-r5', 'NIST SP 800-53', 'Revision 5', 'NIST, csrc.nist.gov; titles in our words', NIST, '3f9a1c'),
  build('soc2', 'SOC 2', '2017 criteria', 'AICPA trust services criteria; titles in our words', SOC2, 'b27e40'),
  build('cis-kubernetes', 'CIS Kubernetes', '1.9', 'Center for Internet Security; titles in our words', CIS, '90cd5e'),
];

export const noTally = () => ({ pass: 0, fail: 0, accepted: 0, false_positive: 0, not_applicable: 0, unknown: 0 });

/** A control's status, tally and reason; `assessment` is the newest unexpired one. */
export function judge(control, tallies, assessment) {
  const tally = noTally();
  for (const uid of control.checks) for (const [what, n] of Object.entries(tallies.get(uid) ?? {})) tally[what] += n;
  const say = (status, why) => ({ status, tally, why });
  if (assessment) return say(assessment.verdict, `Judged by ${assessment.assessor} until ${assessment.expires.slice(0, 10)}.`);
  if (control.checks.length === 0) return say('manual', 'Only a person can tell.');
  if (tally.fail) return say('failed', `${tally.fail} of ${tally.fail + tally.pass} subjects fail.`);
  if (tally.unknown > 2) return say('not_assessed', `${tally.unknown} results could not be told.`);
  if (tally.accepted) return say('accepted', `${tally.accepted} failures are accepted.`);
  if (tally.pass) return say('passed', `${tally.pass} subjects pass.`);
  if (tally.unknown) return say('not_assessed', `${tally.unknown} results could not be told.`);
  return tally.not_applicable ? say('not_applicable', 'The checks had nothing to look at.') : say('not_assessed', 'No check ran.');
}

export function score(controls) {
  const counts = { passed: 0, failed: 0, accepted: 0, not_assessed: 0, not_applicable: 0, manual: 0 };
  for (const control of controls) counts[control.status]++;
  const judged = counts.passed + counts.failed;
  const round = (x) => Math.round(x * 10000) / 100;
  return { counts, score: judged ? round(counts.passed / judged) : null, coverage: controls.length ? round(judged / controls.length) : null };
}
