// What is not the usual case: no such page, no such finding, empty, read-only, signed out.
import { enter } from './sign-in.mjs';
import { must } from './harness.mjs';

export async function states(h, person, { real }) {
  const { page } = h;

  await h.step('an unknown address and an unmatched filter say what to do', async () => {
    await h.open('/no/such/page', 'main h2');
    await h.inBothThemes('not-found');
    await h.open('/findings?q=zzzzqqqq', '.empty');
    must(await page.getByRole('link', { name: 'Clear the filters' }).isVisible(), 'no way out of the empty list');
    await h.inBothThemes('findings-none');
  });

  await h.step('an unknown finding shows the server’s sentence', async () => {
    await page.goto(`${h.base}/findings/f1-0000000000000000000000000000000000000000`);
    const before = h.trouble.length;
    const said = await page.locator('aside [role=alert]').innerText();
    must(said.split(' ').length > 4, `it says ${said}`);
    // The browser's own note of the 404 is expected here.
    await page.waitForTimeout(200);
    const unexpected = h.trouble.filter((line) => !line.includes('404'));
    h.trouble.splice(0, h.trouble.length, ...unexpected);
    void before;
    await h.inBothThemes('finding-unknown');
  });

  await h.step('a viewer reads everything and is offered no change', async () => {
    const name = real ? `viewer${Date.now() % 100000}` : 'theo';
    let password = 'correct horse battery';
    if (real) {
      password = 'Eleven gates for 3 keys';
      const session = await (await page.request.get(`${h.base}/api/v1/session`)).json();
      const made = await page.request.post(`${h.base}/api/v1/users`, { headers: { 'x-csrf-token': session.csrf_token }, data: { name, role: 'viewer', password: 'First lantern of 9 walls' } });
      must(made.status() === 201, `making the viewer: ${made.status()} ${await made.text()}`);
    }
    const context = await h.browser.newContext({ viewport: { width: 1440, height: 900 }, ignoreHTTPSErrors: true });
    const other = await context.newPage();
    await other.goto(`${h.base}/findings`);
    await enter(other, name, real ? 'First lantern of 9 walls' : password);
    if (real) {
      await other.getByLabel('One-time secret').fill('First lantern of 9 walls');
      await other.getByLabel('New password', { exact: true }).fill(password);
      await other.getByLabel('New password again').fill(password);
      await other.getByRole('button', { name: 'Change password' }).click();
      await other.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
      await other.goto(`${h.base}/findings`);
    }
    await other.locator('tbody tr.link').first().waitFor();
    must((await other.locator('tbody input[type=checkbox]').count()) === 0, 'a viewer can select findings');
    await other.locator('tbody tr.link a').first().click();
    await other.locator('aside article').waitFor();
    must((await other.locator('aside').getByRole('button', { name: 'Accept…' }).count()) === 0, 'a viewer is offered to accept');
    await other.goto(`${h.base}/settings/users`);
    await other.getByText('Not for this role').waitFor();
    await context.close();
  });

  if (!real) {
    await h.step('an empty installation says what to do, with the command', async () => {
      const { startMock } = await import('../../dev/mock.mjs');
      const { url, stop } = await startMock({ empty: true });
      const [base, filled] = [url, h.base];
      h.base = base;
      h.refusals = true;
      await page.goto(`${base}/`);
      await enter(page, 'admin', 'correct horse battery');
      await page.getByText('Nothing has been scanned yet').waitFor();
      must((await page.locator('.command code').innerText()).includes('bartizan scan k8s'), 'no command');
      await h.inBothThemes('overview-empty');
      for (const [path, text] of [['/findings', 'No active finding'], ['/checks', 'No check has run yet'], ['/jobs', 'No job yet'], ['/scans', 'No scan yet'], ['/attestations', 'No attestation yet']]) {
        await h.open(path);
        await page.getByText(text).waitFor();
        await h.axe(`empty ${path}`);
      }
      h.base = filled;
      await stop();
      await page.goto(`${filled}/`);
      await enter(page, person.name, person.password);
      await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
      h.refusals = false;
    });
  }

  await h.step('the overview after all of this', async () => {
    await h.open('/');
    await page.setViewportSize({ width: 1440, height: 1000 });
    await page.waitForTimeout(500);
    await h.inBothThemes('overview-later');
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  await h.step('sign out', async () => {
    h.refusals = true;
    await page.goto(`${h.base}/`);
    if (await page.getByLabel('User name').isVisible().catch(() => false)) await enter(page, person.name, person.password);
    await page.getByRole('button', { name: /^Your account/ }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('User name').waitFor();
    await page.goto(`${h.base}/audit`);
    await page.getByLabel('User name').waitFor();
  });
}
