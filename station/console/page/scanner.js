// A scanner types like a keyboard, only faster: prefix (F12 or STX), a burst, Enter. Codes say what they are.
import { S, say, paint } from './model.js';
import { t } from './words.js';
import { ask } from './dialogs.js';
import { objection } from './commands.js';
import { find } from './devices.js';

const BURST_MS = 30;
let text = null, last = 0;

function entered(code) {
  const [, kind, value] = code.match(/^([LDQPCSB]):(.+)$/) ?? [null, '', code];
  const names = { L: 'lot', D: 'product', Q: 'quantity', P: 'program', C: 'card' };
  if (!kind) return say('refused', t('scan.unknown', { code }));
  if (kind === 'S') { find(value); S.view = 'devices'; return paint(); }
  if (kind === 'B') return badge(code, value);
  const why = objection('lot.load');
  if (why) return say('info', `${t('command.lot.load')}: ${why}`);
  const values = S.dialog?.kind === 'load' ? S.dialog.values : {};
  ask('load', { ...values, [names[kind]]: value });
}

// A badge is a name only: the PIN shows who it is. It goes into whichever dialog asks for one.
function badge(code, value) {
  if (!S.session.logs_in) return say('refused', t('scan.unknown', { code }));
  const open = S.dialog && document.getElementById('badge') ? S.dialog : { kind: 'login', values: {} };
  ask(open.kind, { ...open.values, badge: value });
}

export function listen() {
  document.addEventListener('keydown', (event) => {
    const now = event.timeStamp;
    if (event.key === 'F12' || event.key === '\u0002') { text = ''; last = now; return void event.preventDefault(); }
    if (text === null) return;
    if (now - last > BURST_MS) { text = null; return; }      // a person types; what was typed goes where it goes
    last = now;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === 'Enter') { const code = text; text = null; if (code) entered(code); } else if (event.key.length === 1) text += event.key;
  }, true);
  // Space and Enter start nothing: a scanner sends them. Ctrl+Enter does, for those who use the keyboard.
  for (const kind of ['keydown', 'keyup', 'keypress']) document.addEventListener(kind, (event) => {
    const button = event.target.closest?.('button.acts');
    if (!button || (event.key !== ' ' && event.key !== 'Enter')) return;
    event.preventDefault();
    if (kind === 'keydown' && event.key === 'Enter' && event.ctrlKey && !event.repeat) button.click();
  }, true);
}
