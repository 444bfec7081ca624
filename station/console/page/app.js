// Begins: words, session, then the stream; paints what it says.
import { render } from './vendor/lit-html.js';
import { S, painted, hush, live, paint } from './model.js';
import { loadWords } from './words.js';
import { title, command, navigation } from './panels.js';
import { jobs } from './jobs.js';
import { alarms, settings, help, look } from './views.js';
import { lot } from './lot.js';
import { devices } from './devices.js';
import { dialog, kinds } from './dialogs.js';
import { ASKS } from './asks.js';
import { LOGIN } from './login.js';
import { security, DUAL } from './security.js';
import { recipes, STAGE } from './recipes.js';
import { APPLY } from './configs.js';
import { WAIVE } from './preflight.js';
import { follow } from './stream.js';
import { listen } from './scanner.js';
import { map, trendBox, drawTrend } from './parts.js';
import { session } from './commands.js';
import { later, since } from './lookup.js';

const engineering = later(() => import('./engineering.js'), 'engineering');
const VIEWS = { jobs: () => jobs(trendBox), lot, devices, recipes, engineering, security, alarms, settings, help };
const at = Object.fromEntries(['title', 'view', 'dialog', 'command', 'navigation'].map((id) => [id, document.getElementById(id)]));

function draw() {
  if (!S.sum) return;
  document.body.classList.toggle('old', !live());
  document.body.dataset.state = S.sum.state;
  at.view.inert = !!S.dialog;
  const old = since(() => { render(VIEWS[S.view](), at.view); render(dialog(), at.dialog); });
  render(title(old), at.title);
  render(command(), at.command);
  render(navigation(), at.navigation);
  if (S.view === 'jobs') drawTrend();
}

kinds({ ...ASKS, ...LOGIN, ...DUAL, ...STAGE, ...APPLY, ...WAIVE });
await Promise.all([loadWords(), session()]);
painted(draw);
listen();
look();
map.addEventListener('picked', paint);
follow(map);
setInterval(() => { hush(); paint(); }, 1000);

// Whoever touches the page keeps the session; when it has ended, the page shows that and goes on showing the lot.
let touched = false;
document.addEventListener('pointerdown', () => { touched = true; }, true);
setInterval(() => { if (S.session.person && S.session.logs_in && live()) { session(touched).catch(() => {}); touched = false; } }, 15000);
