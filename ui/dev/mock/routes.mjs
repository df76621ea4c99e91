// The routes of the contract over the mock's world.
import { randomBytes } from 'node:crypto';
import { answer } from './ask.mjs';
import { Inventories } from './inventories.mjs';
import { FRAMEWORKS } from './frameworks.mjs';
import { CHECKS, SCOPES } from './shop.mjs';
import { feeds, history, lines, whole } from './vulnerabilities.mjs';
import { digestOf, iso } from './world.mjs';

const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'];
const DAY = 86_400_000;
const no = (problem, detail, code = 'refused') => ({ problem, detail, code });
const paths = (text) => new RegExp(`^${text.replace(/:\w+/g, '([^/]+)')}$`);
const attachment = (name, type, body) => ({ headers: { 'content-type': type, 'content-disposition': `attachment; filename="${name}"` }, body });

function page(items, query, most = 50) {
  const from = Number(query.cursor ?? 0);
  const limit = Math.min(200, Number(query.limit ?? most));
  return { items: items.slice(from, from + limit), next_cursor: from + limit < items.length ? String(from + limit) : null, total: { count: items.length, capped: false } };
}

export function handlers(world, sessions) {
  const live = (scope) => !world.archived.has(scope) && !world.removed.has(scope);
  const lastScan = (scope) => world.scans.find((s) => s.scope === scope) ?? null;
  const brief = (scan) => scan && { id: scan.id, source: scan.source, finished: scan.finished, complete: scan.complete };
  const entryOf = (id) => world.log.entries.find((e) => e.entry_id === id);
  const entryView = (e) => ({ entry_id: e.entry_id, at: e.at, actor: e.actor, action: e.action, subject: e.subject, detail: e.detail, ledger: world.log.place(e) });
  const may = (user, role) => ['viewer', 'operator', 'admin'].indexOf(user.role) >= ['viewer', 'operator', 'admin'].indexOf(role);
  const sealSoon = () => setTimeout(() => world.log.seal(iso(Date.now())), 700).unref();
  const sessionView = (s) => ({ user: { name: s.user.name, role: s.user.role, tenant: 'default', must_change_password: s.user.must }, csrf_token: s.csrf, expires: iso(Date.now() + DAY) });
  const act = (user, action, subject, detail) => (sealSoon(), world.log.append(iso(Date.now()), user.name, action, subject, detail));

  function findings(query, status = query.status ?? 'active') {
    const severities = query.severity?.split(',') ?? [];
    const framework = FRAMEWORKS.find((f) => f.id === query.framework);
    const checks = framework && new Set(framework.controls.filter((c) => !query.control || c.id === query.control).flatMap((c) => c.checks));
    const words = (query.q ?? '').toLowerCase();
    const rows = [...world.findings.values()].filter((f) => {
      const { check, asset } = f.r;
      return live(f.scope) && (!query.scope || f.scope === query.scope) && (status === 'all' || (status === 'active' ? ['open', 'reopened'].includes(f.status) : f.status === status))
        && (!severities.length || severities.includes(check.severity)) && (!query.check || check.uid === query.check) && (!query.asset || asset.uid === query.asset)
        && (!query.namespace || asset.namespace === query.namespace) && (!query.kind || asset.kind === query.kind) && (!checks || checks.has(check.uid))
        && (!words || `${check.title} ${asset.uid} ${f.r.locus} ${check.uid}`.toLowerCase().includes(words));
    });
    const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const by = {
      severity: (a, b) => b.r.rank - a.r.rank || text(b.changed, a.changed), changed: (a, b) => text(b.changed, a.changed), first_seen: (a, b) => text(b.first_seen, a.first_seen),
      check: (a, b) => text(a.r.check.uid, b.r.check.uid), asset: (a, b) => text(a.r.asset.uid, b.r.asset.uid),
    }[query.sort ?? 'severity'];
    return by ? rows.sort(by) : rows;
  }
  const bySeverity = (rows) => Object.fromEntries(SEVERITIES.map((s) => [s, rows.filter((f) => f.r.check.severity === s).length]));
  const known = (key) => world.findings.get(key);
  const kept = new Inventories(world.scans.length === 0);
  const withPage = (found, query) => ({ ...found, ...page(found.items, query) });
  const noInventory = () => no(404, 'There is no such inventory. It may have been taken away.', 'not_found');

  const table = [
    ['GET', '/vulnerabilities', ({ query }) => page(world.scans.length === 0 ? [] : lines(query), query)],
    ['GET', '/vulnerabilities/present', ({ query }) => withPage(kept.present(query), query)],
    ['GET', '/vulnerabilities/fixes', ({ query }) => page(kept.fixes(query), query)],
    ['GET', '/vulnerabilities/:id/affected', ({ params, query }) => page(kept.affected(params[0]), query)],
    ['GET', '/inventories', ({ query }) => withPage(kept.list(query), query)],
    ['GET', '/inventories/components', ({ query }) => { const found = kept.components(query); return found ? withPage(found, query) : noInventory(); }],
    ['GET', '/inventories/sbom', ({ query }) => attachment(`inventory.${query.format === 'spdx' ? 'spdx' : 'cdx'}.json`, 'application/json', JSON.stringify(query.format === 'spdx' ? { spdxVersion: 'SPDX-2.3' } : { bomFormat: 'CycloneDX', specVersion: '1.6' }))],
    ['GET', '/inventories/diff', ({ query }) => kept.compare(query) ?? noInventory()],
    ['POST', '/inventories/diff', ({ query, raw }) => { try { return kept.compare(query, JSON.parse(raw)) ?? noInventory(); } catch { return no(422, 'The bill of materials does not read: it is neither CycloneDX as JSON nor SPDX as JSON or tags and values.', 'bad_inventory'); } }],
    ['GET', '/components/holders', ({ query }) => page(kept.holders(query), query)],
    ['GET', '/vulnerabilities/:id', ({ params }) => whole(params[0]) ?? no(404, `There is no vulnerability ${params[0]}. Check the address, or list what exists.`, 'not_found')],
    ['GET', '/vulnerabilities/:id/history', ({ params }) => history(params[0])],
    ['GET', '/feeds', () => ({ items: world.scans.length === 0 ? [] : feeds(Date.now()) })],
    ['POST', '/ask', ({ json }) => (json.question?.trim() ? { headers: { 'content-type': 'text/event-stream' }, body: answer(json.question) } : no(422, 'ask something', 'question'))],
    ['POST', '/session', ({ json }) => {
      const user = world.users.get(json.username);
      if (!user || user.disabled || user.password !== json.password) return no(401, 'User name or password is wrong. After a lost password, run `bartizan admin reset-password`.', 'unauthorized');
      const id = randomBytes(12).toString('hex');
      const held = { user, csrf: randomBytes(12).toString('hex') };
      sessions.set(id, held);
      user.last_login = iso(Date.now());
      act(user, 'session.login', user.name, {});
      return { headers: { 'set-cookie': `bartizan_session=${id}; HttpOnly; SameSite=Strict; Path=/` }, body: sessionView(held) };
    }],
    ['GET', '/session', ({ session }) => sessionView(session)],
    ['DELETE', '/session', ({ cookie, user }) => (sessions.delete(cookie), act(user, 'session.logout', user.name, {}), undefined)],
    ['POST', '/session/password', ({ json, user }) => {
      if (json.current !== user.password) return no(403, 'The current password is wrong. Type the one you signed in with.');
      if (String(json.new ?? '').length < 12) return no(422, 'The new password is shorter than 12 characters. Choose a longer one.');
      Object.assign(user, { password: json.new, must: false });
    }],
    ['GET', '/jwks', () => attachment('jwks.json', 'application/json', JSON.stringify(world.signer.jwks(), null, 2))],
    ['GET', '/overview', ({ query }) => {
      const scopes = SCOPES.filter(live);
      const scope = query.scope ?? scopes.toSorted((a, b) => ((lastScan(a)?.finished ?? '') < (lastScan(b)?.finished ?? '') ? 1 : -1)).find(lastScan) ?? null;
      const rows = findings({ scope: query.scope });
      const changes = world.log.entries.filter((e) => e.action.startsWith('finding.') && (!query.scope || known(e.subject)?.scope === query.scope)).toSorted((a, b) => (a.at < b.at ? 1 : -1)).slice(0, 20);
      return {
        scope, scopes: scopes.filter(lastScan).length, last_scan: brief(scope && lastScan(scope)),
        findings: { active: bySeverity(rows), accepted: findings({ scope: query.scope }, 'accepted').length, fixed_30d: findings({ scope: query.scope }, 'fixed').filter((f) => Date.parse(f.changed) > Date.now() - 30 * DAY).length, unknown_results: world.results.filter((r) => r.outcome === 'unknown' && live(r.scope) && (!query.scope || r.scope === query.scope)).length },
        frameworks: FRAMEWORKS.map((f) => { const p = world.posture(f.id, scope); return { id: f.id, title: f.title, version: f.version, score: p.score, coverage: p.coverage, counts: p.counts, trend: p.trend.slice(-30) }; }),
        changes: changes.map((e) => ({ at: e.at, action: e.action, subject: e.subject, title: `${known(e.subject).r.check.title} on ${known(e.subject).r.asset.name}`, severity: known(e.subject).r.check.severity, scope: known(e.subject).scope, entry_id: e.entry_id })),
        jobs: Object.fromEntries(['queued', 'running', 'failed'].map((s) => [s, world.jobs.filter((j) => j.state === s).length])),
        ledger: { size: world.log.sealed, pending: world.log.entries.length - world.log.sealed, checkpoint_at: world.log.checkpointAt, root: world.log.root().toString('hex') },
      };
    }],
    ['GET', '/scopes', ({ query }) => ({ items: SCOPES.filter((s) => !world.removed.has(s) && (query.include_archived || !world.archived.has(s)) && lastScan(s)).map((id) => ({ id, kind: id.split(':')[0], name: id.split(':')[1], archived: world.archived.has(id), last_scan: brief(lastScan(id)), findings_active: bySeverity(findings({ scope: id })) })) })],
    ['PATCH', '/scopes/:id', ({ params: [id], json, user }) => (json.archived ? world.archived.add(id) : world.archived.delete(id), act(user, 'scope.archived', id, json), { id, archived: json.archived })],
    ['DELETE', '/scopes/:id', ({ params: [id], user }) => (world.removed.add(id), act(user, 'scope.deleted', id, {}), undefined)],
    ['GET', '/findings/facets', ({ query }) => {
      const rows = findings(query);
      const status = {};
      for (const f of rows) status[f.status] = (status[f.status] ?? 0) + 1;
      return { severity: bySeverity(rows), status, capped: false };
    }],
    ['GET', '/findings/export', ({ query }) => query.format === 'json'
      ? attachment('findings.json', 'application/json', JSON.stringify(findings(query).map((f) => world.view(f))))
      : attachment('findings.csv', 'text/csv', ['key,severity,title,asset', ...findings(query).map((f) => [f.key, f.r.check.severity, f.r.check.title, f.r.asset.uid].join(','))].join('\r\n'))],
    ['POST', '/findings/actions', ({ json, user }) => {
      if (!may(user, 'operator')) return no(403, 'Deciding on findings needs the operator role. Ask an administrator.');
      if (!json.reason?.trim()) return no(422, 'The reason is empty. Say why; it goes into the audit trail.');
      const refused = [];
      let changed = 0;
      for (const key of json.keys) {
        const f = known(key);
        if (!f) refused.push({ key, why: 'There is no such finding.' });
        else if (json.action === 'reopen' ? !['accepted', 'false_positive'].includes(f.status) : !['open', 'reopened'].includes(f.status)) refused.push({ key, why: `It is ${f.status}.` });
        else {
          changed++;
          world.record(iso(Date.now()), user.name, `finding.${{ accept: 'accepted', reopen: 'reopened', false_positive: 'false_positive' }[json.action]}`, f, { reason: json.reason, owner: json.owner, expires: json.expires });
        }
      }
      sealSoon();
      return { changed, refused };
    }],
    ['GET', '/findings/:key', ({ params: [key] }) => (known(key) ? world.detail(known(key)) : no(404, 'There is no such finding. It may belong to a scope that was deleted.', 'not_found'))],
    ['GET', '/findings', ({ query }) => ({ ...page(findings(query).map((f) => world.view(f)), query), search: query.q ? { capped: false, limit: 10_000 } : null })],
    ['GET', '/results', ({ query }) => page(world.results.filter((r) => live(r.scope) && (!query.scope || r.scope === query.scope) && (!query.check || r.check.uid === query.check) && (!query.outcome || r.outcome === query.outcome) && (!query.asset || r.asset.uid === query.asset)).map((r) => ({ check: r.check.uid, asset: r.asset.uid, locus: r.locus, outcome: r.outcome, why: r.why, message: r.why ?? '', scan: lastScan(r.scope)?.id ?? '' })), query)],
    ['GET', '/checks', ({ query }) => {
      const tallies = world.tallies(query.scope);
      return { items: world.results.length ? CHECKS.map((c) => ({ uid: c.uid, title: c.title, severity: c.severity, description: c.description, remediation: c.remediation, references: c.references, tally: tallies.get(c.uid) })) : [] };
    }],
    ['GET', '/frameworks', () => ({ items: FRAMEWORKS.map(({ controls, ...f }) => ({ ...f, controls: controls.length })) })],
    ['GET', '/frameworks/:id', ({ params: [id], query }) => (FRAMEWORKS.some((f) => f.id === id) ? world.posture(id, query.scope ?? SCOPES.find(live)) : no(404, `There is no framework ${id}. Choose one of the list.`))],
    ['GET', '/frameworks/:id/controls/:control', ({ params: [id, control], query }) => {
      const scope = query.scope ?? SCOPES.find(live);
      const row = world.posture(id, scope).controls.find((c) => c.id === control);
      if (!row) return no(404, `There is no control ${control} in ${id}.`);
      const { guidance, checks } = FRAMEWORKS.find((f) => f.id === id).controls.find((c) => c.id === control);
      const tallies = world.tallies(scope);
      const now = iso(Date.now());
      return { ...row, guidance, checks: CHECKS.filter((c) => checks.includes(c.uid)).map((c) => ({ uid: c.uid, title: c.title, severity: c.severity, tally: tallies.get(c.uid) })), assessments: world.assessments.filter((a) => a.framework === id && a.control === control && a.scope === scope).map((a) => ({ ...a, expired: a.expires <= now })) };
    }],
    ['POST', '/frameworks/:id/controls/:control/assessments', ({ params: [id, control], json, user }) => {
      const { scope, ...form } = json;
      world.assess(FRAMEWORKS.find((f) => f.id === id), control, scope, user.name, form, Date.now());
      sealSoon();
      return { status: 201, body: world.assessments[0] };
    }],
    ['GET', '/attestations', ({ query }) => page(world.attestations.filter((a) => !query.scope || a.scope === query.scope).map(({ token, ...a }) => (void token, a)), query)],
    ['POST', '/attestations', ({ json, user }) => ({ status: 201, body: world.attest(user.name, json.scope, json.framework, json.alg ?? 'RS256', json.valid_days ?? 90, Date.now()) })],
    ['POST', '/attestations/verify', ({ json }) => world.signer.verify(String(json.token).trim(), world.log)],
    ['GET', '/attestations/:id/token', ({ params: [id] }) => attachment(`${id}.jwt`, 'application/jwt', world.attestations.find((a) => a.id === id)?.token ?? '')],
    ['GET', '/attestations/:id/evidence', ({ params: [id] }) => attachment(`${id}-evidence.json`, 'application/json', JSON.stringify({ attestation: id }))],
    ['GET', '/attestations/:id', ({ params: [id] }) => { const found = world.attestations.find((a) => a.id === id); if (!found) return no(404, 'There is no such attestation.'); const { token, ...rest } = found; return void token, rest; }],
    ['GET', '/audit', ({ query }) => {
      const words = (query.q ?? '').toLowerCase();
      return page(world.log.entries.toReversed().filter((e) => (!query.actor || e.actor === query.actor) && (!query.action || e.action === query.action) && (!query.subject || e.subject === query.subject) && (!query.from || e.at >= query.from) && (!query.to || e.at <= `${query.to}T23:59:59Z`) && (!words || `${e.actor} ${e.action} ${e.subject} ${e.body}`.toLowerCase().includes(words))).map(entryView), query);
    }],
    ['GET', '/audit/:id/proof', ({ params: [id], query }) => {
      const entry = entryOf(id);
      if (!entry) return no(404, 'There is no such entry in the audit trail.');
      const proof = world.log.proof(entry);
      return query.format ? attachment(`${id}.tlog-proof`, 'text/plain', `c2sp.org/tlog-proof@v1\nindex ${proof.index}\n${proof.path.map((h) => Buffer.from(h, 'hex').toString('base64')).join('\n')}\n\n${proof.checkpoint}`) : proof;
    }],
    ['GET', '/ledger/checkpoint', () => attachment('checkpoint', 'text/plain', world.log.checkpoint())],
    ['GET', '/ledger', () => ({ origin: world.log.origin, size: world.log.sealed, root: world.log.root().toString('hex'), pending: world.log.entries.length - world.log.sealed, checkpoint_at: world.log.checkpointAt, public_key: world.log.publicKey })],
    ['GET', '/jobs', ({ query }) => page(world.jobs.filter((j) => !query.state || j.state === query.state).map((j) => (j.state === 'running' ? { ...j, progress: { ...j.progress, done: Math.min(j.progress.total, j.progress.done + Math.round((Date.now() - world.start) * 9)) } } : j)), query)],
    ['GET', '/scans', ({ query }) => page(world.scans.filter((s) => live(s.scope) && (!query.scope || s.scope === query.scope)), query)],
    ['GET', '/reports', ({ query }) => attachment(`report.${query.format}`, 'text/html', `<h1>${query.scope}</h1>`)],
    ['POST', '/artifacts', ({ query, raw, user }) => { const artifact = digestOf(raw); world.artifacts.set(artifact, raw); act(user, 'artifact.received', artifact, { kind: query.kind }); return { status: 201, body: { artifact, size: raw.length, name: query.name } }; }],
    ['GET', '/artifacts/:digest', ({ params: [digest] }) => attachment('artifact', 'application/octet-stream', world.artifacts.get(digest) ?? '')],
    ['GET', '/users', () => ({ items: [...world.users.values()].map(({ name, role, disabled, created, last_login }) => ({ name, role, disabled, created, last_login })) })],
    ['POST', '/users', ({ json, user }) => { if (world.users.has(json.name)) return no(409, `There is a user ${json.name} already. Choose another name.`); world.addUser(json.name, json.role, json.password, Date.now(), true); act(user, 'user.changed', json.name, { role: json.role }); return { status: 201, body: { name: json.name, role: json.role } }; }],
    ['PATCH', '/users/:name', ({ params: [name], json, user }) => (Object.assign(world.users.get(name), json), act(user, 'user.changed', name, { role: json.role, disabled: json.disabled }), { name })],
    ['DELETE', '/users/:name', ({ params: [name], user }) => (world.users.delete(name), act(user, 'user.changed', name, { removed: true }), undefined)],
    ['GET', '/tokens', () => ({ items: world.tokens })],
    ['POST', '/tokens', ({ json, user }) => { const token = { id: `t_${randomBytes(3).toString('hex')}`, name: json.name, role: json.role, created: iso(Date.now()), expires: json.expires ?? null }; world.tokens.push(token); act(user, 'token.created', token.id, { name: json.name }); return { status: 201, body: { ...token, token: `btz_${randomBytes(18).toString('base64url')}` } }; }],
    ['DELETE', '/tokens/:id', ({ params: [id], user }) => (world.tokens.splice(world.tokens.findIndex((t) => t.id === id), 1), act(user, 'token.revoked', id, {}), undefined)],
    ['GET', '/keys', () => ({ items: world.signer.keys.map(({ kid, alg, created, retired, active }) => ({ kid, alg, created, retired, active })) })],
    ['POST', '/keys/rotate', ({ user }) => (world.signer.rotate(iso(Date.now())), act(user, 'keys.rotated', 'keys', {}), { status: 201, body: {} })],
  ];
  return table.map(([method, text, handle]) => [method, paths(text), handle]);
}
