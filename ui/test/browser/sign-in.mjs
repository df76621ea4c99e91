// Signing in: the hint, a refusal, the forced change of a one-time secret.
import { must } from './harness.mjs';

export const NEW_PASSWORD = 'Nine turrets overlook 4 roads';

export async function signIn(h, person) {
  const { page } = h;

  await h.step('sign-in page, first-run hint, both themes', async () => {
    h.refusals = true;
    await page.goto(`${h.base}/findings?severity=critical`);
    await page.getByLabel('User name').waitFor();
    await page.getByText('First start, or a lost password?').click();
    must(await page.getByText('bartizan admin reset-password').isVisible(), 'the hint does not name the command');
    await h.inBothThemes('sign-in');
  });

  await h.step('a wrong password is refused with the server’s sentence', async () => {
    await page.getByLabel('User name').fill(person.name);
    await page.getByLabel('Password', { exact: true }).fill('certainly wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const said = await page.getByRole('alert').innerText();
    must(said.length > 20 && !/^\d+$/.test(said), `the refusal says ${said}`);
  });

  await h.step('sign in, change a one-time password, land where one wanted to go', async () => {
    await page.getByLabel('User name').fill(person.name);
    await page.getByLabel('Password', { exact: true }).fill(person.password);
    await page.keyboard.press('Enter');
    const forced = page.getByRole('heading', { name: 'Choose your password' });
    const inside = page.getByRole('heading', { name: 'Findings', level: 1 });
    await forced.or(inside).first().waitFor();
    if (await forced.isVisible()) {
      await h.inBothThemes('password');
      await page.getByLabel('One-time secret').fill(person.password);
      await page.getByLabel('New password', { exact: true }).fill(NEW_PASSWORD);
      await page.getByLabel('New password again').fill('another');
      must(await page.getByText('The two differ.').isVisible(), 'two different passwords go unnoticed');
      await page.getByLabel('New password again').fill(NEW_PASSWORD);
      await page.getByRole('button', { name: 'Change password' }).click();
      person.password = NEW_PASSWORD;
      await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    }
    h.refusals = false;
  });
}

/** Signs somebody in on a page that shows the sign-in form. */
export async function enter(page, name, password) {
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
