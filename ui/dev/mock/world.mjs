// The mock's state: findings with their life, assessments, attestations, jobs, users.
import { createHash, randomBytes } from 'node:crypto';
import { FRAMEWORKS, judge, noTally, score } from './frameworks.mjs';
import { Log, Signer } from './log.mjs';
import { CHECKS, hash, results, SCOPES } from './shop.mjs';

const DAY = 86_400_000;
export const iso = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
export const digestOf = (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const keyOf = (r) => `f1-${createHash('sha256').update(`${r.check.uid}|${r.asset.uid}|${r.locus}`).digest('hex').slice(0, 40)}`;

export class World {
  log = new Log();
  signer = new Signer();
  results = [];
  findings = new Map();
  assessments = [];
  attestations = [];
  artifacts = new Map();
  jobs = [];
  scans = [];
  archived = new Set();
  removed = new Set();
  tokens = [];
  users = new Map();
  start = Date.now();

  constructor({ empty = false } = {}) {
    const now = this.start;
    this.signer.rotate(iso(now - 41 * DAY));
    this.addUser('admin', 'admin', 'correct horse battery', now - 41 * DAY, false);
    this.log.append(iso(now - 41 * DAY), 'system', 'user.changed', 'admin', { created: true });
    if (!empty) this.fill(now);
    this.log.seal(iso(now - 40_000));
  }

  addUser(name, role, password, at, must) {
    this.users.set(name, { name, role, password, disabled: false, created: iso(at), last_login: null, must });
  }

  fill(now) {
    this.addUser('mara', 'operator', 'correct horse battery', now - 39 * DAY, false);
    this.addUser('theo', 'viewer', 'correct horse battery', now - 30 * DAY, false);
    this.addUser('first', 'admin', 'one-time-secret', now - DAY, true);
    this.users.get('mara').last_login = iso(now - 3 * 3600_000);
    this.tokens.push({ id: 't_9f21c0', name: 'ci-scanner', role: 'operator', created: iso(now - 38 * DAY), expires: iso(now + 52 * DAY) });
    const events = [];
    for (const scope of SCOPES) {
      for (const r of results(scope)) {
        this.results.push(r);
        const h = hash(`${keyOf(r)}life`);
        if (r.outcome === 'pass' && h % 9 !== 0) continue;
        if (r.outcome === 'not_applicable' || r.outcome === 'unknown') continue;
        const first = now - (2 + (h % 36)) * DAY - (h % 80_000_00);
        const f = { key: keyOf(r), scope, r, status: 'open', first_seen: iso(first), changed: iso(first), acceptance: null, history: [] };
        this.findings.set(f.key, f);
        events.push([first, 'system', 'finding.opened', f, {}]);
        if (r.outcome === 'pass') {
          events.push([first + (now - first) * 0.8, 'system', 'finding.fixed', f, {}]);
        } else if (h % 13 === 1 && r.rank < 4) {
          const expires = iso(now + (20 + (h % 70)) * DAY);
          events.push([now - (1 + (h % 20)) * 0.4 * DAY, 'mara', 'finding.accepted', f, { reason: 'Behind the service mesh; the team moves it in the next quarter.', owner: 'mara', expires }]);
        } else if (h % 31 === 2) {
          events.push([now - (1 + (h % 9)) * 0.7 * DAY, 'admin', 'finding.false_positive', f, { reason: 'The init container sets it; the template does not see that.' }]);
        } else if (h % 17 === 3) {
          events.push([first + DAY * 0.6, 'system', 'finding.fixed', f, {}], [now - (h % 60) * 3600_000 - 3600_000, 'system', 'finding.reopened', f, {}]);
        }
      }
      for (let back = 36; back >= 0; back -= scope === SCOPES[0] ? 1 : 3) {
        const at = now - back * DAY - (scope === SCOPES[0] ? 22 : 95) * 60_000;
        const id = `scan-${scope.split(':')[1]}-${String(36 - back).padStart(3, '0')}`;
        const counts = { pass: 0, fail: 0, not_applicable: 0, unknown: 0 };
        for (const r of this.results) if (r.scope === scope) counts[r.outcome]++;
        const drift = Math.round(back * 1.6);
        Object.assign(counts, { fail: counts.fail + drift, pass: counts.pass - drift });
        const artifact = digestOf(id);
        this.scans.unshift({ id, source: 'bartizan/k8s', source_version: '0.1.0', scope, complete: back !== 11, started: iso(at - 2400), finished: iso(at), imported: iso(at + 900), counts, artifact, content: [{ name: 'bartizan', digest: digestOf('policies') }] });
        this.jobs.unshift({ id: `j-${id.slice(5)}`, kind: 'import_report', state: 'done', created: iso(at), started: iso(at + 200), finished: iso(at + 900), attempts: 1, progress: { done: Object.values(counts).reduce((a, b) => a + b), total: null }, error: null, artifact, scan: id });
        events.push([at + 900, 'token:ci-scanner', 'scan.imported', null, { scan: id, scope, ...counts }, scope]);
      }
    }
    this.jobs.sort((a, b) => (a.created < b.created ? 1 : -1));
    this.scans.sort((a, b) => (a.finished < b.finished ? 1 : -1));
    this.jobs.splice(1, 0, { id: 'j-shop-bad', kind: 'import_report', state: 'failed', created: iso(now - 5 * 3600_000), started: iso(now - 5 * 3600_000), finished: iso(now - 5 * 3600_000 + 400), attempts: 3, progress: { done: 0, total: null }, error: 'Line 4 of the report is not JSON: it ends in the middle of a string. Send the report again; the upload was probably cut.', artifact: digestOf('bad'), scan: null });
    this.jobs.unshift({ id: 'j-staging-now', kind: 'import_report', state: 'running', created: iso(now - 9000), started: iso(now - 8000), finished: null, attempts: 1, progress: { done: 184_000, total: 412_000 }, error: null, artifact: digestOf('now'), scan: null });
    for (const [at, actor, action, f, detail, subject] of events.sort((a, b) => a[0] - b[0])) this.record(iso(Math.min(at, now - 60_000)), actor, action, f ?? subject, detail);
    this.log.append(iso(now - 3 * 3600_000), 'mara', 'session.login', 'mara', {});
    this.assess(FRAMEWORKS[0], 'RA-5', SCOPES[0], 'mara', { verdict: 'passed', reason: 'Read the scanner’s schedule and the four last reports; all critical ones were closed within a week.', evidence: [digestOf('evidence')], expires: iso(now + 120 * DAY) }, now - 6 * DAY);
    this.assess(FRAMEWORKS[0], 'IR-4', SCOPES[0], 'mara', { verdict: 'passed', reason: 'Table-top exercise of the spring.', evidence: [], expires: iso(now - 3 * DAY) }, now - 160 * DAY);
    this.artifacts.set(digestOf('evidence'), Buffer.from('evidence'));
    for (const [i, framework] of FRAMEWORKS.entries()) this.attest('mara', SCOPES[0], framework.id, i === 1 ? 'EdDSA' : i === 2 ? 'ES256' : 'RS256', 90, now - (i * 9 + 2) * DAY);
    this.attest('admin', SCOPES[0], 'soc2', 'RS256', 10, now - 34 * DAY);
  }

  /** Moves a finding (or notes something about a subject) and appends to the log. */
  record(at, actor, action, target, detail) {
    const finding = typeof target === 'string' ? null : target;
    const entry = this.log.append(at, actor, action, finding ? finding.key : target, finding ? { check: finding.r.check.uid, asset: finding.r.asset.uid, ...detail } : detail);
    if (!finding) return entry;
    const status = { opened: 'open', reopened: 'reopened', fixed: 'fixed', accepted: 'accepted', false_positive: 'false_positive' }[action.split('.')[1]];
    Object.assign(finding, { status, changed: at, acceptance: status === 'accepted' ? { owner: detail.owner, reason: detail.reason, expires: detail.expires } : null });
    finding.history.push({ entry, detail });
    return entry;
  }

  assess(framework, control, scope, assessor, form, at) {
    const entry = this.log.append(iso(at), assessor, 'assessment.recorded', `${framework.id}/${control}`, { scope, ...form });
    this.assessments.unshift({ framework: framework.id, control, scope, assessor, ...form, at: iso(at), entry_id: entry.entry_id });
  }

  attest(user, scope, frameworkId, alg, days, at) {
    const id = `att_${randomBytes(6).toString('hex')}`;
    const posture = this.posture(frameworkId, scope);
    const entry = this.log.append(iso(at), user, 'attestation.issued', id, { scope, framework: frameworkId });
    this.log.seal(iso(at));
    const expires = at + days * DAY;
    const digest = digestOf(`evidence${id}`);
    const claims = { iss: 'bartizan.example', sub: scope, jti: id, iat: Math.floor(at / 1000), exp: Math.floor(expires / 1000), framework: frameworkId, score: posture.score, coverage: posture.coverage, counts: posture.counts, evidence_digest: digest, ledger: { index: entry.index, size: this.log.sealed, checkpoint: this.log.checkpoint(), path: this.log.path(entry.index).map((h) => h.toString('hex')) } };
    const { kid, token } = this.signer.sign(alg, claims);
    const made = { id, scope, framework: frameworkId, score: posture.score, coverage: posture.coverage, counts: posture.counts, issued: iso(at), expires: iso(expires), alg, kid, issuer_user: user, ledger: { state: 'included', index: entry.index }, evidence_digest: digest, token };
    this.attestations.push(made);
    this.attestations.sort((a, b) => (a.issued < b.issued ? 1 : -1));
    return made;
  }

  tallies(scope) {
    const by = new Map(CHECKS.map((check) => [check.uid, noTally()]));
    for (const r of this.results) {
      if ((scope && r.scope !== scope) || this.removed.has(r.scope)) continue;
      const tally = by.get(r.check.uid);
      const status = r.outcome === 'fail' ? this.findings.get(keyOf(r))?.status : null;
      if (status === 'accepted' || status === 'false_positive') tally[status]++;
      else tally[r.outcome]++;
    }
    return by;
  }

  posture(id, scope) {
    const framework = FRAMEWORKS.find((f) => f.id === id);
    const tallies = this.tallies(scope);
    const now = iso(Date.now());
    const controls = framework.controls.map((control) => {
      const assessment = this.assessments.find((a) => a.framework === id && a.control === control.id && a.scope === scope && a.expires > now);
      return { id: control.id, title: control.title, group: control.group, checks: control.checks.length, ...judge(control, tallies, assessment) };
    });
    const scored = score(controls);
    const trend = this.scans.filter((s) => s.scope === scope).map((s) => s.finished).reverse().map((at, i, all) => {
      const back = all.length - 1 - i;
      const wave = back === 0 ? 0 : Math.round(back * 0.62 + (hash(`${id}${at.slice(0, 10)}`) % 3) - 1);
      return { at, score: scored.score === null ? null : Math.max(0, Math.round((scored.score - wave) * 100) / 100), coverage: scored.coverage === null ? null : Math.max(0, Math.round((scored.coverage - back * 0.35) * 100) / 100) };
    });
    return { ...framework, controls, ...scored, trend, scope };
  }

  view(f) {
    const { check, asset, locus } = f.r;
    return { key: f.key, scope: f.scope, check: check.uid, asset, locus, status: f.status, severity: check.severity, title: check.title, message: `${locus ? `Container ${locus.split(':')[1]} of ` : ''}${asset.kind} ${asset.namespace}/${asset.name}: ${f.r.path} is ${check.actual ?? 'not set'}, expected ${check.expected}.`, first_seen: f.first_seen, changed: f.changed, acceptance: f.acceptance };
  }

  detail(f) {
    const { check, asset, locus } = f.r;
    const container = { name: locus.split(':')[1] ?? 'main', image: 'registry.example/shop/web:latest', env: [{ name: 'DATABASE_URL', value: '[redacted]' }], securityContext: check.path.includes('privileged') ? { privileged: true } : {} };
    return {
      ...this.view(f),
      outcome: { outcome: f.status === 'fixed' ? 'pass' : 'fail', why: null },
      description: check.description, remediation: check.remediation, references: check.references,
      evidence: [{ path: f.r.path, actual: check.actual, expected: check.expected }],
      location: { file: f.r.file, line: f.r.line, column: 9 },
      last_seen: this.scans.find((s) => s.scope === f.scope)?.finished ?? f.changed, last_scan: this.scans.find((s) => s.scope === f.scope)?.id ?? null,
      controls: FRAMEWORKS.flatMap((fw) => fw.controls.filter((c) => c.checks.includes(check.uid)).map((c) => ({ framework: fw.id, control: c.id, title: c.title }))),
      observation: { kind: 'kubernetes.object', digest: digestOf(asset.uid), location: { file: f.r.file, line: 1, column: 1 }, body: { apiVersion: 'apps/v1', kind: asset.kind, metadata: { name: asset.name, namespace: asset.namespace, labels: { app: asset.name } }, spec: { replicas: 2, template: { spec: { containers: [container] } } } } },
      history: f.history.map(({ entry, detail }) => ({ at: entry.at, actor: entry.actor, action: entry.action, detail, ledger: this.log.place(entry), entry_id: entry.entry_id })),
    };
  }
}
