// Jobs, scans, settings, palette, theme and rail.
import { must } from './harness.mjs';

export async function system(h) {
  const { page } = h;

  await h.step('jobs and scans', async () => {
    await h.open('/jobs', 'tbody tr');
    await h.inBothThemes('jobs');
    must((await page.locator('tbody tr').filter({ hasText: 'Done' }).count()) >= 1, 'no finished job');
    await h.open('/scans', 'tbody tr');
    await h.inBothThemes('scans');
    must((await page.locator('tbody tr').filter({ hasText: 'Complete' }).count()) >= 1, 'no complete scan');
  });

  await h.step('reports of a scope can be downloaded', async () => {
    const scopes = (await (await page.request.get(`${h.base}/api/v1/scopes`)).json()).items;
    await h.open(`/scans?scope=${encodeURIComponent(scopes[0].id)}`, 'tbody tr');
    await page.getByRole('button', { name: /^Report of/ }).click();
    for (const name of ['HTML page', 'SARIF 2.1.0', 'JSON']) {
      const got = await page.request.get(h.base + (await page.getByRole('link', { name, exact: true }).getAttribute('href')));
      must(got.ok(), `${name}: ${got.status()}`);
    }
    await page.keyboard.press('Escape');
  });

  await h.step('an API token is shown once, then revoked', async () => {
    await h.open('/settings/tokens');
    await page.getByRole('button', { name: 'New token' }).click();
    const dialog = page.getByRole('dialog');
    const name = `browser-${Date.now() % 100000}`;
    await dialog.getByLabel('Name').fill(name);
    await h.axe('new token');
    await dialog.getByRole('button', { name: 'Make token' }).click();
    const secret = await page.locator('.secret').innerText();
    must(/^btz_/.test(secret), `the secret is ${secret.slice(0, 8)}…`);
    await h.inBothThemes('token-once');
    await page.getByRole('button', { name: 'I have copied it' }).click();
    await page.getByRole('row', { name: new RegExp(name) }).waitFor();
    must(!(await page.content()).includes(secret), 'the secret is still in the page');
    await h.inBothThemes('settings-tokens');
    await page.getByRole('row', { name: new RegExp(name) }).getByRole('button', { name: 'Revoke…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click();
    await page.getByRole('row', { name: new RegExp(name) }).waitFor({ state: 'detached' });
  });

  await h.step('a user is made, disabled, and removed by typing the name', async () => {
    await h.open('/settings/users', 'tbody tr');
    const name = `guest${Date.now() % 100000}`;
    await page.getByRole('button', { name: 'New user' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('User name').fill(name);
    await dialog.getByLabel('First password').fill('Seven lanterns on 2 walls');
    await dialog.getByRole('button', { name: 'Make user' }).click();
    const row = page.getByRole('row', { name: new RegExp(name) });
    await row.waitFor();
    await row.getByRole('button', { name: 'Disable' }).click();
    await row.getByText('Disabled').waitFor();
    await h.inBothThemes('settings-users');
    await row.getByRole('button', { name: 'Remove…' }).click();
    must(await dialog.getByRole('button', { name: 'Remove user' }).isDisabled(), 'it can be removed without typing');
    await dialog.getByLabel(/^Type/).fill(name);
    await h.axe('typed confirmation');
    await dialog.getByRole('button', { name: 'Remove user' }).click();
    await row.waitFor({ state: 'detached' });
  });

  await h.step('a scope is archived and brought back by undo', async () => {
    await h.open('/settings/scopes', 'tbody tr');
    await h.inBothThemes('settings-scopes');
    const row = page.locator('tbody tr').last();
    await row.getByRole('button', { name: 'Archive' }).click();
    await row.getByText('Archived').waitFor();
    await h.toast().getByRole('button', { name: 'Undo' }).last().click();
    await row.getByRole('button', { name: 'Archive' }).waitFor();
    await row.getByRole('button', { name: 'Delete…' }).click();
    must(await page.getByRole('dialog').getByRole('button', { name: 'Delete scope' }).isDisabled(), 'it can be deleted without typing');
    await page.keyboard.press('Escape');
  });

  await h.step('keys are listed and rotated; old ones go on verifying', async () => {
    await h.open('/settings/keys', 'tbody tr');
    const before = await page.locator('tbody tr').count();
    await page.getByRole('button', { name: 'Rotate…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate keys' }).click();
    await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length > n, before);
    must((await page.getByText('Only verifies').count()) >= 1, 'no key is retired');
    await h.inBothThemes('settings-keys');
    await h.open('/attestations', 'tbody tr.link');
    await page.locator('tbody tr.link a').first().click();
    await page.locator('aside').getByRole('link', { name: 'Verify in this page' }).click();
    await page.getByRole('heading', { name: 'Valid', exact: true }).waitFor();
  });

  await h.step('appearance: dark stays dark after a reload, whatever the system says', async () => {
    await h.open('/settings');
    await h.inBothThemes('settings-appearance');
    await page.getByRole('radio', { name: /^Dark/ }).check();
    await page.reload();
    await page.locator('main h1').waitFor();
    const dark = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    must(dark === 'dark', `the scheme is ${dark}`);
    await page.getByRole('button', { name: /^Theme/ }).click();
    await page.getByRole('button', { name: 'As the system' }).click();
  });

  await h.step('palette: Ctrl K, type, Enter', async () => {
    await h.open('/');
    await page.keyboard.press('Control+k');
    const palette = page.getByRole('combobox');
    await palette.waitFor();
    await h.inBothThemes('palette');
    await palette.fill('audit');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Audit trail', level: 1 }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('f');
    await page.getByRole('heading', { name: 'Findings', level: 1 }).waitFor();
  });

  await h.step('a scope can be chosen, and every link keeps it', async () => {
    await h.open('/');
    await page.getByRole('button', { name: /^Scope:/ }).click();
    await page.locator('.panel button.item').nth(1).click();
    await page.waitForURL(/scope=/);
    const scope = new URL(page.url()).searchParams.get('scope');
    await page.getByRole('link', { name: 'Findings', exact: false }).first().click();
    await page.locator('tbody tr.link, .empty').first().waitFor();
    must(new URL(page.url()).searchParams.get('scope') === scope, 'the scope is lost on the way');
  });

  await h.step('the rail folds and stays folded', async () => {
    await h.open('/findings', 'tbody tr.link');
    await page.getByRole('button', { name: 'Narrow the menu' }).click();
    await page.reload();
    await page.getByRole('button', { name: 'Widen the menu' }).waitFor();
    await h.axe('narrow rail');
    await h.shot('narrow-rail');
    await page.getByRole('button', { name: 'Widen the menu' }).click();
  });
}
