const { blendOnto } = window.unnoise;
const root = element.querySelector('.strip');
const here = scene(root.dataset.scene);
const CELLS = 11; // t = 0, T/10, …, T
let columns = [];

const at = (schedule, cell) => Math.round(cell / (CELLS - 1) * schedule.T);

function build(data) {
  columns = Array.from({ length: CELLS }, () => []);
  const rows = data.schedules.map(schedule => {
    const line = make('i');
    line.style.borderTopColor = `var(${schedule.colour})`;
    line.style.borderTopStyle = schedule.cssDash;
    const cells = columns.map((column, cell) => {
      const canvas = make('canvas');
      const t = at(schedule, cell);
      blendOnto(canvas, data, ...here.coefficients(schedule, t));
      const button = make('button', { type: 'button', title: `t = ${t}` }, canvas);
      button.setAttribute('aria-label', `${schedule.title}, t = ${t}: go there`);
      button.addEventListener('click', () => here.seek(cell / (CELLS - 1) * here.T));
      column.push(button);
      return button;
    });
    return make('div', { className: 'row' },
      make('div', { className: 'title' }, line, schedule.title), ...cells);
  });
  const sameT = data.schedules.every(schedule => schedule.T === here.T);
  const times = columns.map((column, cell) => {
    const label = make('div', {}, sameT ? String(at(here, cell)) : `${cell / (CELLS - 1)}`);
    column.push(label);
    return label;
  });
  rows.push(make('div', { className: 'row times' },
    make('div', { className: 'title' }, sameT ? 't' : 't / T'), ...times));
  root.replaceChildren(...rows);
}

here.on(root, ({ data, t, T }, fresh) => {
  if (fresh) build(data);
  const nearest = Math.round(t / T * (CELLS - 1));
  columns.forEach((column, cell) => {
    for (const node of column) node.classList.toggle('near', cell === nearest);
  });
});
