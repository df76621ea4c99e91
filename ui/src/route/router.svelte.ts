// The current place, as the address bar has it, and moving to another.
import { match, path, ROUTES, type Place, type RouteName, type Params } from './table';

class Router {
  place = $state.raw<Place>(match('/', ''));
  #guard: (() => void) | undefined;

  /** Follows links, Back and Forward from now on. */
  start(): void {
    this.read();
    addEventListener('popstate', () => this.read());
    document.addEventListener('click', (event) => this.#click(event));
  }

  /** Called before each change of place. */
  onMove(then: () => void): void {
    this.#guard = then;
  }

  read(): void {
    this.#guard?.();
    this.place = match(location.pathname, location.search);
  }

  go(href: string, options: { replace?: boolean } = {}): void {
    if (href === location.pathname + location.search) return;
    if (options.replace) history.replaceState(null, '', href);
    else history.pushState(null, '', href);
    this.read();
  }

  /** The scope that the address names, kept by every link made with {@link to}. */
  get scope(): string {
    return this.place.query['scope'] ?? '';
  }

  get query(): Record<string, string> {
    return this.place.query;
  }

  /** The same place with other query values; an empty value removes its name. */
  with(patch: Record<string, string | undefined>): string {
    const query = { ...this.place.query, ...patch };
    if (this.place.name === 'notFound') return path('overview', query);
    return (path as (n: RouteName, p: object, q?: object) => string)(
      this.place.name,
      ...((Object.keys(this.place.params).length ? [this.place.params, query] : [query]) as [object, object?]),
    );
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a[href]');
    if (!(link instanceof HTMLAnchorElement)) return;
    if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/') || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();

type Loose = Record<string, string | number | undefined | null>;

/** The address of a route that keeps the chosen scope. */
export function to<R extends RouteName>(
  name: R,
  ...args: keyof Params<R> extends never ? [query?: Loose] : [params: Params<R>, query?: Loose]
): string {
  const scope = router.scope;
  const takesParams = ROUTES[name].includes(':');
  const params = takesParams ? args[0] : undefined;
  const query = { scope: scope || undefined, ...((takesParams ? args[1] : args[0]) as Loose | undefined) };
  return (path as (n: RouteName, a: unknown, b?: unknown) => string)(name, ...((takesParams ? [params, query] : [query]) as [unknown, unknown?]));
}
