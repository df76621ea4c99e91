// Who is signed in, and what they may.
import { change, get, Problem, setCsrf, whenSignedOut } from '../api/client';
import type { Role, Session } from '../api/types';

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

class SessionState {
  now = $state.raw<Session>();
  /** Whether the server has been asked yet. */
  known = $state(false);
  /** Set when the server cannot be asked. */
  problem = $state.raw<Problem>();

  async start(): Promise<void> {
    whenSignedOut(() => this.#set(undefined));
    try {
      this.#set(await get<Session>('/session'));
    } catch (error) {
      this.#set(undefined);
      if (error instanceof Problem && error.status !== 401) this.problem = error;
    }
    this.known = true;
  }

  async signIn(username: string, password: string): Promise<void> {
    this.#set(await change<Session>('POST', '/session', { username, password }));
    this.problem = undefined;
  }

  async signOut(): Promise<void> {
    await change('DELETE', '/session').catch(() => {});
    this.#set(undefined);
  }

  /** Changes the password; a server that ends the session with it is signed in to again. */
  async changePassword(current: string, next: string): Promise<void> {
    const name = this.now?.user.name ?? '';
    await change('POST', '/session/password', { current, new: next });
    try {
      this.#set(await get<Session>('/session'));
    } catch {
      await this.signIn(name, next);
    }
  }

  may(role: Role): boolean {
    const mine = this.now?.user.role;
    return mine !== undefined && RANK[mine] >= RANK[role];
  }

  #set(session: Session | undefined): void {
    this.now = session;
    setCsrf(session?.csrf_token ?? '');
  }
}

export const session = new SessionState();
