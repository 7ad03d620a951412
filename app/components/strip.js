const { blended } = window.unnoise;
const root = element.querySelector('.strip');
const here = scene(root.dataset.scene);
const CELLS = 11; // t = 0, T/10, …, T
let columns = [], near = -1;

const at = (schedule, cell) => Math.round(cell / (CELLS - 1) * schedule.T);

function build(data) {
  columns = Array.from({ length: CELLS }, () => []);
  near = -1;
  const rows = data.schedules.map(schedule => {
    const line = make('i');
    line.style.borderTopColor = `var(${schedule.colour})`;
    line.style.borderTopStyle = schedule.cssDash;
    // One canvas a row, not one a cell: each costs the browser time in every frame of a drag.
    const film = make('canvas', { width: CELLS * data.width, height: data.height });
    const context = film.getContext('2d');
    const cells = columns.map((column, cell) => {
      const t = at(schedule, cell);
      const picture = blended(data, ...here.coefficients(schedule, t));
      context.drawImage(picture, cell * data.width, 0);
      const button = make('button', { type: 'button', title: `t = ${t}` });
      button.setAttribute('aria-label', `${schedule.title}, t = ${t}: go there`);
      button.addEventListener('click', () => here.seek(cell / (CELLS - 1) * here.T));
      column.push(button);
      return button;
    });
    return make('div', { className: 'row' },
      make('div', { className: 'title' }, line, schedule.title),
      make('div', { className: 'film' }, film, make('div', { className: 'cells' }, ...cells)));
  });
  const sameT = data.schedules.every(schedule => schedule.T === here.T);
  const times = columns.map((column, cell) => {
    const label = make('div', {}, sameT ? String(at(here, cell)) : `${cell / (CELLS - 1)}`);
    column.push(label);
    return label;
  });
  rows.push(make('div', { className: 'row times' },
    make('div', { className: 'title' }, sameT ? 't' : 't / T'),
    make('div', { className: 'cells' }, ...times)));
  root.replaceChildren(...rows);
}

function mark(cell) {
  if (cell === near) return;
  for (const node of columns[near] ?? []) node.classList.remove('near');
  for (const node of columns[cell]) node.classList.add('near');
  near = cell;
}

here.on(root, ({ data, t, T }, fresh) => {
  if (fresh) build(data);
  mark(Math.round(t / T * (CELLS - 1)));
});
