// How this browser shows the console; kept in its local storage and nowhere else.

export type Theme = 'auto' | 'light' | 'dark';
export type Density = 'comfortable' | 'compact';

function read(name: string): string | null {
  try {
    return localStorage.getItem(`bartizan.${name}`);
  } catch {
    return null;
  }
}
function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`bartizan.${name}`, value);
  } catch {
    // A browser that keeps nothing still shows the choice until it is closed.
  }
}

class Looks {
  theme = $state<Theme>('auto');
  density = $state<Density>('comfortable');
  /** What was chosen for the rail; without a choice the window's width decides. */
  rail = $state<'auto' | 'wide' | 'small'>('auto');
  narrow = $state(false);
  /** Counts changes of the effective colours, so that canvases draw again. */
  painted = $state(0);

  start(): void {
    const theme = read('theme');
    if (theme === 'light' || theme === 'dark') this.theme = theme;
    if (read('density') === 'compact') this.density = 'compact';
    const rail = read('rail');
    if (rail === 'small' || rail === 'wide') this.rail = rail;
    const narrow = matchMedia('(max-width: 1120px)');
    this.narrow = narrow.matches;
    narrow.addEventListener('change', () => (this.narrow = narrow.matches));
    this.#apply();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.painted++);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    keep('theme', theme);
    this.#apply();
  }

  setDensity(density: Density): void {
    this.density = density;
    keep('density', density);
    this.#apply();
  }

  get railSmall(): boolean {
    return this.rail === 'small' || (this.rail === 'auto' && this.narrow);
  }

  setRail(small: boolean): void {
    this.rail = small ? 'small' : 'wide';
    keep('rail', this.rail);
  }

  #apply(): void {
    const root = document.documentElement;
    if (this.theme === 'auto') root.removeAttribute('data-theme');
    else root.setAttribute('data-theme', this.theme);
    root.setAttribute('data-density', this.density);
    this.painted++;
  }
}

export const looks = new Looks();
