// Starts the console.
import { mount } from 'svelte';
import App from './App.svelte';
import { router } from './route/router.svelte';
import { looks } from './state/looks.svelte';
import { session } from './state/session.svelte';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/layout.css';

looks.start();
router.start();
void session.start();
mount(App, { target: document.getElementById('app') as HTMLElement });
