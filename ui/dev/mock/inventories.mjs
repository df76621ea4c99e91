// Pretended inventories: assets with their components, what hits them, and what upgrades close.
const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'];
const LEVELS = ['act', 'attend', 'track-closely', 'track'];
const zero = () => ({ critical: 0, high: 0, medium: 0, low: 0, info: 0 });

// id, title, severity, score, level, reasons
const HOLES = {
  'CVE-2021-44228': ['Log4j2: lookups in log messages load code from elsewhere', 'critical', 10, 'act', ['it is exploited: CISA’s catalogue lists it', 'ransomware uses it', 'exploitation within 30 days is expected with 97.5 % (EPSS)', 'CVSS 10.0', '2.17.1 fixes it']],
  'CVE-2023-44487': ['HTTP/2: many streams that are reset at once exhaust servers', 'high', 7.5, 'act', ['it is exploited: CISA’s catalogue lists it', 'exploitation within 30 days is expected with 94.4 % (EPSS)', 'CVSS 7.5']],
  'CVE-2024-3094': ['Xz: malicious code in distributed source', 'critical', 10, 'attend', ['a public exploit exists', 'CVSS 10.0', 'an attack can be automated']],
  'CVE-2024-6387': ['OpenSSH: regreSSHion, a race condition in sshd allows remote code execution', 'high', 8.1, 'attend', ['exploitation within 30 days is expected with 41.3 % (EPSS)', 'a public exploit exists', 'CVSS 8.1']],
  'CVE-2024-0553': ['GnuTLS: timing side channel in RSA-PSK', 'high', 7.5, 'track-closely', ['CVSS 7.5']],
  'CVE-2024-28757': ['libexpat: entities of isolated external parsers expand without end', 'high', 7.5, 'track-closely', ['CVSS 7.5', '2.5.0-1+deb12u1 fixes it']],
  'CVE-2023-5678': ['OpenSSL: long DH keys take long to check', 'medium', 5.3, 'track', ['CVSS 5.3']],
  'CVE-2023-50495': ['ncurses: segmentation fault in _nc_wrap_entry', 'medium', 6.5, 'track', ['CVSS 6.5', 'no fix is known']],
  'CVE-2022-27943': ['libiberty: stack exhaustion in the demangler', 'low', 3.3, 'track', ['CVSS 3.3', 'no fix is known']],
  'GHSA-c2qf-rxjj-qqgw': ['semver: a crafted range takes long to read', 'medium', 7.5, 'track', ['7.5.2 fixes it']],
};
// purl, name, version, ecosystem, source, licences, path, hits: id → fix, 'none', 'unknown' or 'excused'
const PARTS = {
  log4j: ['pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1', 'org.apache.logging.log4j:log4j-core', '2.14.1', 'Maven', null, ['Apache-2.0'], '/app/shop.jar!/BOOT-INF/lib/log4j-core-2.14.1.jar', { 'CVE-2021-44228': '2.17.1' }],
  netty: ['pkg:maven/io.netty/netty-codec-http2@4.1.94.Final', 'io.netty:netty-codec-http2', '4.1.94.Final', 'Maven', null, ['Apache-2.0'], '/app/shop.jar!/BOOT-INF/lib/netty-codec-http2-4.1.94.Final.jar', { 'CVE-2023-44487': '4.1.100.Final' }],
  nginx: ['pkg:deb/debian/nginx@1.22.1-9?distro=debian-12', 'nginx', '1.22.1-9', 'Debian:12', null, ['BSD-2-Clause'], '/var/lib/dpkg/status', { 'CVE-2023-44487': '1.22.1-9+deb12u1' }],
  xz: ['pkg:deb/debian/liblzma5@5.6.0-0.2?distro=debian-13', 'liblzma5', '5.6.0-0.2', 'Debian:13', 'xz-utils 5.6.0-0.2', ['0BSD', 'GPL-2.0-or-later'], '/var/lib/dpkg/status', { 'CVE-2024-3094': '5.6.1+really5.4.5-1' }],
  ssh: ['pkg:deb/debian/openssh-server@1%3A9.2p1-2?distro=debian-12', 'openssh-server', '1:9.2p1-2', 'Debian:12', 'openssh 1:9.2p1-2', [], '/var/lib/dpkg/status', { 'CVE-2024-6387': '1:9.2p1-2+deb12u3' }],
  gnutls: ['pkg:deb/debian/libgnutls30@3.7.9-2?distro=debian-12', 'libgnutls30', '3.7.9-2', 'Debian:12', 'gnutls28 3.7.9-2', ['LGPL-2.1-or-later'], '/var/lib/dpkg/status', { 'CVE-2024-0553': 'excused' }],
  expat: ['pkg:deb/debian/libexpat1@2.5.0-1?distro=debian-12', 'libexpat1', '2.5.0-1', 'Debian:12', 'expat 2.5.0-1', ['MIT'], '/var/lib/dpkg/status', { 'CVE-2024-28757': '2.5.0-1+deb12u1' }],
  ssl: ['pkg:deb/debian/libssl3@3.0.11-1~deb12u2?distro=debian-12', 'libssl3', '3.0.11-1~deb12u2', 'Debian:12', 'openssl 3.0.11-1~deb12u2', ['Apache-2.0'], '/var/lib/dpkg/status', { 'CVE-2023-5678': '3.0.13-1~deb12u1' }],
  ssl2: ['pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12', 'libssl3', '3.0.9-1', 'Debian:12', 'openssl 3.0.9-1', ['Apache-2.0'], '/var/lib/dpkg/status', { 'CVE-2023-5678': '3.0.13-1~deb12u1' }],
  ncurses: ['pkg:deb/debian/libncurses6@6.4-4?distro=debian-12', 'libncurses6', '6.4-4', 'Debian:12', 'ncurses 6.4-4', ['MIT'], '/var/lib/dpkg/status', { 'CVE-2023-50495': 'none' }],
  gcc: ['pkg:deb/debian/libgcc-s1@12.2.0-14?distro=debian-12', 'libgcc-s1', '12.2.0-14', 'Debian:12', 'gcc-12 12.2.0-14', ['GPL-3.0-only'], '/var/lib/dpkg/status', { 'CVE-2022-27943': 'none' }],
  semver: ['pkg:npm/semver@7.3.8', 'semver', '7.3.8', 'npm', null, ['ISC'], '/srv/web/node_modules/semver/package.json', { 'GHSA-c2qf-rxjj-qqgw': '7.5.2' }],
  odd: ['pkg:npm/semver@latest', 'semver', 'latest', 'npm', null, [], '/srv/web/vendor/semver/package.json', { 'GHSA-c2qf-rxjj-qqgw': 'unknown' }],
  pad: ['pkg:npm/left-pad@1.3.0', 'left-pad', '1.3.0', 'npm', null, ['WTFPL'], '/srv/web/node_modules/left-pad/package.json', {}],
  serde: ['pkg:cargo/serde@1.0.197', 'serde', '1.0.197', 'crates.io', null, ['MIT OR Apache-2.0'], '/usr/local/bin/gateway', {}],
};
const DEBIAN = ['expat', 'ssl', 'ncurses', 'gcc', 'gnutls'];
const image = (name, scope, parts, days, unread = []) => ({ uid: `cluster:${scope}//Image//registry.example.com/${name}`, scope: `cluster:${scope}`, kind: 'Image', name: `registry.example.com/${name}`, parts, days, unread });
const host = (name, parts, days, unread = []) => ({ uid: `host:${name}//Host//${name}`, scope: `host:${name}`, kind: 'Host', name, parts, days, unread });
const ASSETS = [
  image('shop/checkout:2.14.0', 'prod', ['log4j', 'netty', ...DEBIAN], 0.1, ['/app/extra.war!/WEB-INF/lib/vendor.jar: it is encrypted', '/opt/agent/agent.jar: a jar in a jar in a jar, deeper than is looked into']),
  image('shop/cart:2.13.2', 'prod', ['log4j', ...DEBIAN], 0.1),
  image('shop/web:5.1.0', 'prod', ['nginx', 'semver', 'odd', 'pad', 'expat', 'ssl2', 'ncurses'], 0.2),
  image('shop/web:5.0.3', 'staging', ['nginx', 'netty', 'log4j', 'semver', 'expat', 'ssl2', 'ncurses'], 9),
  image('platform/gateway:1.9.4', 'prod', ['serde'], 0.3),
  host('bastion-1', ['ssh', ...DEBIAN], 1.4),
  host('bastion-2', ['ssh', ...DEBIAN], 1.4, ['/var/lib/rpm/rpmdb.sqlite: permission denied']),
  host('build-7', ['xz', 'ncurses', 'gcc'], 3),
];
// A long one: a machine with everything that a distribution has.
const FILLER = Array.from({ length: 640 }, (_, i) => [`pkg:deb/debian/lib${'abcdefghij'[i % 10]}${i}@1.${i}-1?distro=debian-12`, `lib${'abcdefghij'[i % 10]}${i}`, `1.${i}-1`, 'Debian:12', null, [['MIT', 'GPL-2.0-or-later', 'BSD-3-Clause', 'LGPL-2.1-or-later'][i % 4]], '/var/lib/dpkg/status', {}]);

const partsOf = (asset) => [...asset.parts.map((key) => PARTS[key]), ...(asset.name === 'build-7' ? FILLER : [])];
const order = (one) => LEVELS.indexOf(HOLES[one][3]) * 10 + SEVERITIES.indexOf(HOLES[one][1]);
const real = (fix) => fix !== 'none' && fix !== 'unknown' && fix !== 'excused';
const standing = (fix) => (fix === 'unknown' || fix === 'excused' ? fix : 'affected');
const split = (text) => (text ? text.split(',') : []);
const offers = (values) => Object.entries(values.reduce((all, one) => ({ ...all, [one]: (all[one] ?? 0) + 1 }), {})).map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);

function component([purl, name, version, ecosystem, source, licences, path, hits]) {
  const vulnerabilities = Object.entries(hits).map(([id, fix]) => ({ id, title: HOLES[id][0], severity: HOLES[id][1], level: HOLES[id][3], standing: standing(fix), why: fix === 'unknown' ? 'latest has no place in the order of npm’s versions' : fix === 'excused' ? 'Debian: vulnerable_code_not_in_execute_path' : `below ${real(fix) ? fix : 'any fix'}`, fixed: real(fix) ? fix : null }));
  const affected = vulnerabilities.filter((v) => v.standing === 'affected');
  return { purl, name, version, ecosystem, source, licences, found: [{ path, layer: path.startsWith('/app') ? `sha256:${'4f1b'.repeat(16)}` : null }], worst: affected[0]?.severity ?? null, affected: affected.length, unknown: vulnerabilities.filter((v) => v.standing === 'unknown').length, upgrade_to: affected.find((v) => v.fixed)?.fixed ?? null, vulnerabilities };
}

/** The lists over some assets; none of them for a tenant with nothing. */
export class Inventories {
  constructor(empty) {
    this.assets = empty ? [] : ASSETS;
  }

  within(scope) {
    return this.assets.filter((a) => !scope || a.scope === scope);
  }

  present(query) {
    const words = (query.q ?? '').toLowerCase();
    const ids = new Map();
    for (const asset of this.within(query.scope)) for (const part of partsOf(asset)) for (const [id, fix] of Object.entries(part[7])) ids.set(id, [...(ids.get(id) ?? []), [asset, part, fix]]);
    const found = [...ids].filter(([id]) => `${id} ${HOLES[id][0]}`.toLowerCase().includes(words));
    const [severities, levels] = [zero(), { act: 0, attend: 0, track_closely: 0, track: 0 }];
    for (const [id] of found) {
      severities[HOLES[id][1]]++;
      levels[HOLES[id][3].replace('-', '_')]++;
    }
    const [bySeverity, byLevel] = [split(query.severity), split(query.level)];
    const items = found.filter(([id]) => (!bySeverity.length || bySeverity.includes(HOLES[id][1])) && (!byLevel.length || byLevel.includes(HOLES[id][3]))).map(([id, rows]) => {
      const parts = [...new Set(rows.map(([, part]) => part))];
      const [title, severity, score, level, reasons] = HOLES[id];
      return { id, title, also: [], severity, score, level, reasons, check: `vuln/advisory/${id}`, open: rows.filter((r) => standing(r[2]) === 'affected').length, accepted: rows.filter((r) => r[2] === 'excused').length, unknown: rows.filter((r) => r[2] === 'unknown').length, assets: new Set(rows.map(([a]) => a.uid)).size, components: parts.length, fixable: parts.filter((p) => real(p[7][id])).length, packages: [...new Set(parts.map((p) => p[1]))].slice(0, 3) };
    });
    const by = { severity: (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity), findings: (a, b) => b.open - a.open }[query.sort] ?? ((a, b) => order(a.id) - order(b.id));
    return { items: items.sort(by), severities, levels };
  }

  list(query) {
    const words = (query.q ?? '').toLowerCase();
    const kinds = [...new Set(this.within(query.scope).map((a) => a.kind))];
    const items = this.within(query.scope).filter((a) => (!query.kind || a.kind === query.kind) && `${a.name} ${a.uid}`.toLowerCase().includes(words)).map((a) => {
      const findings = zero();
      for (const part of partsOf(a)) for (const [id, fix] of Object.entries(part[7])) if (standing(fix) === 'affected') findings[HOLES[id][1]]++;
      return { asset: a.uid, scope: a.scope, kind: a.kind, name: a.name, source: 'bartizan 0.1.0', taken: new Date(Date.now() - a.days * 86_400_000).toISOString(), unread: a.unread.length, components: partsOf(a).length, findings };
    });
    const weigh = (f) => SEVERITIES.reduce((sum, s) => sum * 100 + f[s], 0);
    return { items: items.sort((a, b) => (query.sort === 'name' ? a.name.localeCompare(b.name) : weigh(b.findings) - weigh(a.findings))), kinds };
  }

  components(query) {
    const asset = this.assets.find((a) => a.uid === query.asset);
    if (!asset) return undefined;
    const all = partsOf(asset).map(component);
    const words = (query.q ?? '').toLowerCase();
    const hit = (c) => c.affected + c.unknown > 0;
    const items = all.filter((c) => (!query.ecosystem || c.ecosystem === query.ecosystem) && (!query.licence || (query.licence === 'none' ? c.licences.length === 0 : c.licences.includes(query.licence))) && (!query.vulnerable || hit(c)) && `${c.name} ${c.purl} ${c.found[0].path}`.toLowerCase().includes(words));
    const rank = (c) => (c.worst ? SEVERITIES.indexOf(c.worst) : c.unknown ? 5 : 6);
    items.sort((a, b) => (query.sort === 'name' ? 0 : rank(a) - rank(b)) || a.name.localeCompare(b.name));
    const { uid, scope, kind, name, unread } = asset;
    return { items, inventory: query.cursor ? null : { asset: uid, scope, kind, name, source: 'bartizan 0.1.0', taken: new Date(Date.now() - asset.days * 86_400_000).toISOString(), unread }, components: all.length, vulnerable: all.filter((c) => c.affected > 0).length, unknown: all.filter((c) => c.affected === 0 && c.unknown > 0).length, ecosystems: offers(all.map((c) => c.ecosystem)), licences: offers(all.flatMap((c) => (c.licences.length ? c.licences : ['none']))) };
  }

  fixes(query) {
    const groups = new Map();
    for (const asset of this.within(query.scope)) for (const part of partsOf(asset)) {
      const key = `${part[0].replace(/@[^@/]*$/, '')} ${part[3]}`;
      groups.set(key, [...(groups.get(key) ?? []), [asset, part]]);
    }
    const items = [...groups].flatMap(([key, rows]) => {
      const hits = rows.flatMap(([asset, part]) => Object.entries(part[7]).map(([id, fix]) => [asset, part, id, fix]));
      const closed = hits.filter((h) => real(h[3]));
      if (closed.length === 0) return [];
      const ids = [...new Set(closed.map((h) => h[2]))].sort((a, b) => order(a) - order(b));
      const severities = zero();
      for (const id of ids) severities[HOLES[id][1]]++;
      return [{ package: key.split(' ')[0], name: rows[0][1][1], ecosystem: rows[0][1][3], from: [...new Set(closed.map((h) => h[1][2]))].sort(), upgrade_to: closed.map((h) => h[3]).sort().at(-1), assets: new Set(closed.map((h) => h[0].uid)).size, closes: closed.length, leaves: hits.filter((h) => h[3] === 'none' || h[3] === 'unknown').length, level: HOLES[ids[0]][3], reasons: HOLES[ids[0]][4], severities, vulnerabilities: ids.map((id) => ({ id, title: HOLES[id][0], severity: HOLES[id][1], level: HOLES[id][3] })) }];
    }).filter((one) => `${one.name} ${one.vulnerabilities.map((v) => v.id).join(' ')}`.toLowerCase().includes((query.q ?? '').toLowerCase()));
    return items.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || b.closes - a.closes);
  }

  holders(query) {
    return this.within(query.scope).flatMap((a) => partsOf(a).filter((p) => p[0].replace(/[?#].*$/, '').replace(/@[^@/]*$/, '') === query.package).map((p) => {
      const { purl, version, ecosystem, found, affected } = component(p);
      return { asset: a.uid, scope: a.scope, kind: a.kind, name: a.name, purl, version, ecosystem, found, affected };
    }));
  }

  affected(id) {
    return this.assets.flatMap((a) => partsOf(a).filter((p) => id in p[7]).map((p) => {
      const c = component(p);
      const hit = c.vulnerabilities.find((v) => v.id === id);
      return { asset: a.uid, scope: a.scope, kind: a.kind, name: a.name, purl: c.purl, component: c.name, version: c.version, ecosystem: c.ecosystem, source: c.source, paths: c.found.map((f) => f.path), standing: hit.standing, why: hit.why, fixed: hit.fixed, finding: 'f1-0000000000000000000000000000000000000001', status: { affected: a.kind === 'Host' ? 'reopened' : 'open', excused: 'accepted' }[hit.standing] ?? null, said: {} };
    }));
  }

  compare(query, uploaded) {
    const side = (uid) => this.assets.find((a) => a.uid === uid);
    const after = side(query.after);
    const before = uploaded ? { name: uploaded.metadata?.component?.name ?? 'a file', parts: ['nginx', 'semver', 'ssl2'], unread: [] } : side(query.before);
    if (!before || !after) return undefined;
    const packages = (asset) => new Map(partsOf(asset).map((p) => [p[0].replace(/[?#].*$/, '').replace(/@[^@/]*$/, ''), p]));
    const [was, is] = [packages(before), packages(after)];
    const out = { added: [], removed: [], changed: [] };
    const hits = (p) => Object.keys(p?.[7] ?? {});
    for (const name of new Set([...was.keys(), ...is.keys()])) {
      const [a, b] = [was.get(name), is.get(name)];
      if (a && b && a[2] === b[2]) continue;
      const one = { package: name, name: (a ?? b)[1], ecosystem: (a ?? b)[3], before: a ? [a[2]] : [], after: b ? [b[2]] : [], closes: hits(a).filter((id) => !hits(b).includes(id)), opens: hits(b).filter((id) => !hits(a).includes(id)) };
      out[a && b ? 'changed' : a ? 'removed' : 'added'].push(one);
    }
    const rows = Object.values(out).flat();
    const view = (asset) => ({ asset: asset.uid ?? null, name: asset.name, taken: asset.uid ? new Date(Date.now() - asset.days * 86_400_000).toISOString() : null, components: partsOf(asset).length, unread: asset.unread.length, judged: true });
    return { before: view(before), after: view(after), ...out, more: false, closes: rows.reduce((n, r) => n + r.closes.length, 0), opens: rows.reduce((n, r) => n + r.opens.length, 0) };
  }
}
