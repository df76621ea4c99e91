// Pretended vulnerabilities and feeds.
const NAMES = [
  ['CVE-2024-3094', 'Xz: malicious code in distributed source', 10.0, false, 0.86, true],
  ['CVE-2024-6387', 'OpenSSH: regreSSHion, a race condition in sshd allows remote code execution', 8.1, false, 0.41, true],
  ['CVE-2024-21626', 'runc: file descriptor leak lets containers escape', 8.6, false, 0.05, true],
  ['CVE-2023-44487', 'HTTP/2: many streams that are reset at once exhaust servers', 7.5, true, 0.94, true],
  ['CVE-2021-44228', 'Log4j2: lookups in log messages load code from elsewhere', 10.0, true, 0.97, true],
  ['CVE-2024-4577', 'PHP-CGI: argument injection on Windows', 9.8, true, 0.94, true],
  ['CVE-2024-27198', 'TeamCity: authentication bypass', 9.8, true, 0.94, true],
  ['CVE-2024-0553', 'GnuTLS: timing side channel in RSA-PSK', 7.5, false, 0.01, false],
  ['CVE-2023-5678', 'OpenSSL: long DH keys take long to check', 5.3, false, 0.002, false],
  ['CVE-2024-28757', 'libexpat: entities of isolated external parsers expand without end', 7.5, false, 0.004, false],
  ['CVE-2023-50495', 'ncurses: segmentation fault in _nc_wrap_entry', 6.5, false, 0.001, false],
  ['CVE-2024-22365', 'pam_namespace: denial of service by a FIFO', 5.5, false, 0.0005, false],
  ['CVE-2022-27943', 'libiberty: stack exhaustion in the demangler', 3.3, false, 0.0004, false],
  ['CVE-2025-0001', 'A record that nobody has rated yet', null, false, null, false],
];
const level = (score) => (score === null ? 'unrated' : score >= 9 ? 'critical' : score >= 7 ? 'high' : score >= 4 ? 'medium' : 'low');
const LINES = NAMES.map(([id, title, score, kev, epss, exploit], i) => ({ id, title, score, severity: level(score), kev, epss, exploit, rejected: false, published: new Date(Date.UTC(2024, 10 - i % 10, 20 - i)).toISOString(), changed: null }));

export function lines(query) {
  return LINES.filter((l) => (!query.q || `${l.id} ${l.title}`.toLowerCase().includes(query.q.toLowerCase())) && (!query.severity || l.severity === query.severity) && (!query.kev || l.kev) && (!query.exploit || l.exploit) && (!query.product || l.title.toLowerCase().includes(query.product.toLowerCase())))
    .sort((a, b) => (query.sort === 'score' ? (b.score ?? -1) - (a.score ?? -1) : b.published.localeCompare(a.published)));
}

export function whole(id) {
  const line = LINES.find((l) => l.id === id);
  if (!line) return undefined;
  const ratings = [{ by: 'redhat', vector: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H', score: 100 }, { by: 'CISA-ADP', vector: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', score: 98 }];
  return {
    names: [id, 'GHSA-rxwq-x6h5-x525', 'DSA-5649-1'], score: line.score, severity: line.severity, exploited: line.kev, rejected: false,
    priority: line.kev ? 'act' : 'attend', reasons: [...(line.kev ? ['it is exploited: CISA’s catalogue lists it'] : []), 'exploitation within 30 days is expected with 86.0 % (EPSS)', 'a public exploit exists', 'CVSS 10.0', 'an attack can be automated', '5.6.1+really5.4.5-1 fixes it'],
    exploits: ['https://github.com/amlweems/xzbot'], epss: line.epss === null ? [] : [{ cve: id, day: '2024-11-20T00:00:00Z', score: line.epss, percentile: 0.987 }],
    kev: line.kev ? [{ cveID: id, dateAdded: '2024-02-01', dueDate: '2024-02-22', knownRansomwareCampaignUse: 'Known' }] : [],
    cves: [{ id, state: 'PUBLISHED', assigner: 'redhat', title: line.title, published: line.published, updated: '2024-11-01T10:00:00Z', ratings, cwes: ['CWE-506', 'CWE-94'],
      description: 'Malicious code was discovered in the upstream tarballs of xz, starting with version 5.6.0.\nThrough a series of complex obfuscations, the liblzma build process extracts a prebuilt object file from a disguised test file existing in the source code, which is then used to modify specific functions in the liblzma code. This results in a modified liblzma library that can be used by any software linked against this library.',
      products: [{ vendor: 'tukaani', product: 'xz', versions: [{ version: '5.6.0', status: 'affected' }, { version: '5.6.1', status: 'affected' }] }], ssvc: { exploitation: 'poc', automatable: 'yes', technical_impact: 'total' },
      references: [{ kind: 'advisory', url: 'https://access.redhat.com/security/cve/CVE-2024-3094' }, { kind: 'mailing-list', url: 'https://www.openwall.com/lists/oss-security/2024/03/29/4' }, { kind: 'exploit', url: 'https://github.com/amlweems/xzbot' }] }],
    advisories: [
      { id: 'DSA-5649-1', source: 'debian', affected: [{ ecosystem: 'Debian:13', package: 'xz-utils', state: 'affected', ranges: [{ introduced: '5.5.1alpha-0.1', end: { fixed: '5.6.1+really5.4.5-1' } }] }, { ecosystem: 'Debian:12', package: 'xz-utils', state: 'not-affected' }] },
      { id: 'ALPINE-CVE-2024-3094', source: 'alpine', affected: [{ ecosystem: 'Alpine:edge', package: 'xz', state: 'affected', ranges: [{ introduced: '5.6.0-r0', end: { fixed: '5.6.1-r2' } }] }] },
    ],
    more: false, vex: [{}], withdrawn: [], unreadable: [],
  };
}

export function history(id) {
  return {
    versions: [
      { record: `cve/${id}`, at: '2024-03-29T16:51:12Z', applied: '2024-03-29T17:02:00Z', first: true, withdrawn: false, changes: [], more: false },
      { record: `cve/${id}`, at: '2024-04-12T08:00:00Z', applied: '2024-04-12T08:05:00Z', first: false, withdrawn: false, more: false, changes: [{ field: 'ratings[CISA-ADP].vector', after: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }, { field: 'ssvc.exploitation', before: 'none', after: 'poc' }] },
      { record: 'advisory/debian/DSA-5649-1', at: '2024-05-01T12:00:00Z', applied: '2024-05-01T12:05:00Z', first: false, withdrawn: false, more: false, changes: [{ field: 'affected[Debian:13/xz-utils].ranges[0].end.fixed', before: '5.6.1-1', after: '5.6.1+really5.4.5-1' }] },
    ],
    net: [], more: false,
  };
}

export function feeds(now) {
  const at = (hours) => new Date(now - hours * 3_600_000).toISOString();
  const feed = (name, hours, lag, offered, applied, refused = 0, error = null) => ({ name, tried: at(0.4), succeeded: hours === null ? null : at(hours), age_seconds: hours === null ? null : Math.round(hours * 3600), newest: at(hours ?? 90), lag_seconds: lag, offered, applied, refused, error });
  return [
    feed('cve', 0.4, 1260, 512, 498), feed('debian', 0.4, 5400, 44_181, 37), feed('ghsa', 0.4, 800, 96, 96, 1), feed('kev', 0.4, 9800, 1_404, 2), feed('epss', 0.4, 40_000, 271_004, 271_004),
    feed('alpine', 78, 280_000, 0, 0, 0, 'https://secdb.alpinelinux.org answered 503'), feed('redhat', 60, 220_000, 0, 0), feed('rustsec', 0.4, 200_000, 1_205, 0),
  ];
}
