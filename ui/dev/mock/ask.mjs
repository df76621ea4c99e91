// Pretended answers, as events.
const SOURCES = [
  { id: 'CVE-2024-3094', kind: 'cve', source: 'redhat', title: 'Xz: malicious code in distributed source', published: '2024-03-29T16:51:12Z', score: '10.0', exploited: false, withdrawn: false, ways: ['words'], names: [], references: ['https://www.openwall.com/lists/oss-security/2024/03/29/4', 'https://bugzilla.redhat.com/show_bug.cgi?id=2272210'] },
  { id: 'DSA-5649-1', kind: 'advisory', source: 'debian', title: 'xz-utils security update', published: '2024-03-29T00:00:00Z', exploited: false, withdrawn: false, ways: ['words', 'likeness'], names: ['CVE-2024-3094'], references: ['https://www.debian.org/security/2024/dsa-5649'] },
  { id: 'CVE-2022-1271', kind: 'cve', source: 'redhat', title: 'An arbitrary file write vulnerability was found in GNU gzip’s zgrep utility', published: '2022-08-31T15:33:00Z', score: '8.8', exploited: true, withdrawn: false, ways: ['likeness'], names: [], references: [] },
  { id: 'OWN-1', kind: 'own', source: 'your inventory', title: 'xz-utils 5.6.0-0.2 on image:registry.shop/web:2.1 is affected by CVE-2024-3094; 5.6.1+really5.4.5-1 fixes it.', exploited: false, withdrawn: false, ways: ['own'], names: ['CVE-2024-3094'], references: [] },
];
const SENTENCES = [
  ['xz-utils 5.6.0-0.2 on image:registry.shop/web:2.1 is affected by CVE-2024-3094; 5.6.1+really5.4.5-1 fixes it. [OWN-1]', ['OWN-1']],
  ['Malicious code was discovered in the upstream tarballs of xz, starting with version 5.6.0. [CVE-2024-3094, DSA-5649-1]', ['CVE-2024-3094', 'DSA-5649-1']],
  ['CVE-2024-3094 is rated CVSS 10.0, was published on 2024-03-29. [CVE-2024-3094]', ['CVE-2024-3094']],
  ['Affected versions: xz 5.6.0; xz 5.6.1. [CVE-2024-3094]', ['CVE-2024-3094']],
];

/** The body of an answer to a question. */
export function answer(question) {
  const found = /bread|weather/i.test(question) ? [] : SOURCES;
  const filters = [];
  if (/critical/i.test(question)) filters.push('CVSS at least 9.0');
  if (/exploited/i.test(question)) filters.push('known to be exploited');
  if (/our|my|are we/i.test(question)) filters.push('found in what you run');
  const missing = /CVE-2099-\d+/i.exec(question)?.slice(0, 1) ?? [];
  const events = [{ event: 'found', filters, sources: found, missing, unknown: [] }];
  if (found.length) {
    for (const [text, cites] of SENTENCES) events.push({ event: 'sentence', text, cites });
    events.push({ event: 'dropped', why: 'a sentence without a citation' }, { event: 'dropped', why: 'a sentence that the records it cites do not carry' });
  }
  events.push({ event: 'done', outcome: found.length ? 'answered' : 'nothing', by: found.length ? 'qwen3-8b' : 'records', unknown: [] });
  return events.map((e) => `event: ${e.event}\ndata: ${JSON.stringify(e)}\n\n`).join('');
}
