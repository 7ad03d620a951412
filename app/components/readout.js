const { sampleLine } = window.unnoise;
const root = element.querySelector('.readout');
const here = scene(root.dataset.scene);
const [head, body] = [root.querySelector('thead'), root.querySelector('tbody')];
const LIVE = [
  ['t', (_, t) => String(t)],
  ['β_t', (s, t) => decimal(s.betas[t], 5)],
  ['√ᾱ_t', (s, t) => decimal(s.signal[t], 4)],
  ['√(1−ᾱ_t)', (s, t) => decimal(s.noise[t], 4)],
  ['SNR', (s, t) => `${decimal(s.snrDecibels[t], 1)} dB`],
];
let live = [];

const plain = label => label.replaceAll('_', '');

function draw({ data }, fresh) {
  if (fresh) build(data);
  for (const { schedule, cells } of live) {
    const t = here.timeOf(schedule);
    cells.forEach((cell, i) => { cell.textContent = LIVE[i][1](schedule, t); });
  }
}

function build(data) {
  const { columns, rows } = data.facts ?? { columns: [], rows: {} };
  head.replaceChildren(make('tr', {}, make('th', {}, ''),
    ...columns.map(label => make('th', {}, symbol(label))),
    ...LIVE.map(([label]) => make('th', { className: 'live' }, symbol(label)))));
  live = [];
  body.replaceChildren(...data.schedules.map(schedule => {
    const row = rows[schedule.key];
    const cell = (label, text, className = '') => {
      const node = make('td', { className }, text);
      node.dataset.label = plain(label);
      return node;
    };
    const cells = LIVE.map(([label]) => cell(label, '', 'live'));
    live.push({ schedule, cells });
    return make('tr', {},
      make('th', { scope: 'row' }, sampleLine(schedule), schedule.title,
        row.warning ? make('span', { className: 'warning' }, symbol(`⚠ ${row.warning}`)) : null),
      ...row.cells.map((text, i) => cell(columns[i], text)), ...cells);
  }));
}

here.on(root, draw);
