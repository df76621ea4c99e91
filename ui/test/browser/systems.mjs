// Two systems with scans: their list, one's page with drift, both side by side, and schedules.
import { readFileSync } from 'node:fs';
import { must } from './harness.mjs';

/** The report of this host as a scan of another one, with the outcomes of some checks set. */
function scanOf(report, name, hours, outcomes) {
  const lines = report.trim().split('\n').map((line) => JSON.parse(line));
  const at = (minutes) => new Date(Date.now() - hours * 3_600_000 + minutes * 60_000).toISOString();
  for (const line of lines) {
    if (line.header) Object.assign(line.header.scan, { id: `${name}-${hours}`, scope: { kind: 'host', name }, started: at(0), finished: at(1) });
    const uid = `host:${name}//Host//${name}`;
    if (line.observation) Object.assign(line.observation.asset, { uid, name });
    if (line.result) line.result.asset = uid;
    const set = line.result && outcomes[line.result.check];
    if (set) {
      Object.assign(line.result, { outcome: set, message: `set to ${set}` });
      delete line.result.why;
    }
  }
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
}

export async function systems(h) {
  const { page } = h;
  const file = process.env.BARTIZAN_HOST_REPORT;
  if (!file) return;
  const report = readFileSync(file, 'utf8');
  const checks = report.split('\n').filter((line) => line.startsWith('{"result"')).map((line) => JSON.parse(line).result.check);
  const [first, second, third] = checks;
  const ids = {};

  await h.step('systems are registered and scanned', async () => {
    const session = await (await page.request.get(`${h.base}/api/v1/session`)).json();
    const headers = { 'x-csrf-token': session.csrf_token };
    const sent = [['web-1', 30, { [first]: 'pass', [second]: 'fail', [third]: 'pass' }], ['web-1', 2, { [first]: 'fail', [second]: 'pass', [third]: 'pass' }], ['web-2', 1, { [first]: 'pass', [second]: 'pass', [third]: 'fail' }]];
    for (const name of ['web-1', 'web-2']) {
      const made = await page.request.post(`${h.base}/api/v1/systems`, { headers, data: { name, how: 'agent', labels: ['browser'], facts: { os: 'Debian GNU/Linux 12' } } });
      must(made.status() === 201, `not registered: ${await made.text()}`);
      ids[name] = (await made.json()).id;
    }
    for (const [name, hours, outcomes] of sent) {
      const type = 'application/vnd.bartizan.report+ndjson';
      const got = await page.request.post(`${h.base}/api/v1/artifacts?kind=report`, { headers: { ...headers, 'content-type': type }, data: scanOf(report, name, hours, outcomes) });
      must(got.ok(), `the report is refused: ${await got.text()}`);
      const { job } = await got.json();
      let seen = {};
      for (let i = 0; i < 100 && !['done', 'failed'].includes(seen.state); i++) {
        await page.waitForTimeout(100);
        seen = await (await page.request.get(`${h.base}/api/v1/jobs/${job}`)).json();
      }
      must(seen.state === 'done', `not imported: ${JSON.stringify(seen)}`);
    }
    await h.open('/systems?label=browser', 'tbody tr.link');
    must((await page.locator('tbody tr.link').count()) === 2, 'not two systems');
    await h.axe('systems');
    await h.inBothThemes('systems');
  });

  await h.step('a system shows what changed since its scan before', async () => {
    await page.getByRole('link', { name: 'web-1' }).click();
    const panel = page.locator('aside article');
    await panel.locator('.drift li').first().waitFor();
    const text = await panel.innerText();
    must(/1 opened, 1 fixed, 0 changed/.test(text), `the drift is told otherwise: ${text.slice(0, 900)}`);
    must((await panel.locator('.drift li').count()) === 2, 'not two rules moved');
    await h.axe('system');
    await h.inBothThemes('system-drift');
  });

  await h.step('a system is compared with another', async () => {
    const panel = page.locator('aside article');
    await panel.getByLabel('Compare with').selectOption({ label: 'beside web-2' });
    await panel.getByRole('heading', { name: 'Beside web-2' }).waitFor();
    await panel.getByText(/1 failing here alone, 1 failing on web-2 alone, 0 different/).waitFor();
    const rules = await panel.locator('.drift li').allInnerTexts();
    must(rules.some((rule) => /Only here/.test(rule)) && rules.some((rule) => /Only there/.test(rule)), rules.join('\n'));
    await h.inBothThemes('system-beside');
    await page.goto(`${h.base}/systems/${ids['web-2']}`);
    await panel.getByText('It begins with the second scan').waitFor();
    await panel.getByRole('link', { name: 'Results' }).click();
    await page.locator('tbody tr').first().waitFor();
    must(decodeURIComponent(page.url()).includes('host:web-2'), page.url());
  });

  await h.step('a schedule is made, paused and removed', async () => {
    await h.open('/systems?schedules=1', 'dialog');
    const dialog = page.getByRole('dialog');
    h.refusals = true;
    await dialog.getByLabel('Name', { exact: true }).fill('weekly-web');
    await dialog.getByLabel('When, in UTC').fill('61 * * * *');
    await dialog.locator('.wrong').waitFor();
    must(await dialog.getByRole('button', { name: 'Add schedule' }).isDisabled(), 'a wrong time can be saved');
    await h.inBothThemes('schedule-wrong');
    h.refusals = false;
    await dialog.getByLabel('When, in UTC').fill('15 3 * * 1');
    await dialog.getByText(/Next: .* 03:15/).waitFor();
    await dialog.getByLabel('Systems').fill('web-1 web-2');
    await h.axe('schedules');
    await h.inBothThemes('schedules');
    await dialog.getByRole('button', { name: 'Add schedule' }).click();
    const row = dialog.getByRole('listitem').filter({ hasText: 'weekly-web' });
    await row.getByText(/next .* 03:15/).waitFor();
    await row.getByRole('button', { name: 'Pause' }).click();
    await row.getByText('paused').waitFor();
    await row.getByRole('button', { name: 'Remove weekly-web' }).click();
    await row.waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
  });
}
