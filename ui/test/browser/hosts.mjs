// This host: its report handed in, its scope, and the evidence of a check that failed.
import { readFileSync } from 'node:fs';
import { must } from './harness.mjs';

export async function hosts(h) {
  const { page } = h;
  // Without the script, and against the mock, there is no report.
  const report = process.env.BARTIZAN_HOST_REPORT;
  if (!report) return;

  let scope = '';
  await h.step('this host is a scope like others', async () => {
    const session = await (await page.request.get(`${h.base}/api/v1/session`)).json();
    const sent = await page.request.post(`${h.base}/api/v1/artifacts?kind=report`, { headers: { 'x-csrf-token': session.csrf_token, 'content-type': 'application/vnd.bartizan.report+ndjson' }, data: readFileSync(report) });
    must(sent.ok(), `the report is refused: ${await sent.text()}`);
    const { job } = await sent.json();
    let state = '';
    for (let i = 0; i < 100 && state !== 'done'; i++) {
      await page.waitForTimeout(100);
      state = (await (await page.request.get(`${h.base}/api/v1/jobs/${job}`)).json()).state;
    }
    must(state === 'done', `the report is not imported: ${state}`);
    const answer = await page.request.get(`${h.base}/api/v1/scopes`);
    scope = ((await answer.json()).items.map((one) => one.id).find((id) => id.startsWith('host:'))) ?? '';
    must(scope, 'no scope of a host');
    await h.open(`/findings?scope=${encodeURIComponent(scope)}`, 'tbody tr.link');
    must((await page.locator('tbody tr.link').count()) > 0, 'the host has no findings');
    await h.inBothThemes('host-findings');
  });

  await h.step('a failed check of the host shows what was found and what was wanted', async () => {
    const list = await (await page.request.get(`${h.base}/api/v1/findings?scope=${encodeURIComponent(scope)}`)).json();
    let seen;
    for (const { key } of list.items) {
      const detail = await (await page.request.get(`${h.base}/api/v1/findings/${key}`)).json();
      const one = detail.evidence.find((evidence) => evidence.actual && evidence.expected);
      if (one) { seen = { key, one, title: detail.title }; break; }
    }
    must(seen, 'no finding of the host has evidence with both values');
    await h.open(`/findings/${seen.key}`, 'aside article');
    await h.settled();
    const text = await page.locator('aside article').innerText();
    for (const part of [seen.title, seen.one.path, seen.one.actual, seen.one.expected]) {
      must(text.includes(part), `the page does not show ${JSON.stringify(part)}`);
    }
    await h.inBothThemes('host-finding');
  });
}
