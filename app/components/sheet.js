const root = element.querySelector('.sheet');

function cell({ image, caption, hint = '', role = '', key = null }) {
  const content = [make('img', { src: image, alt: hint || caption }), make('span', { className: 'caption' }, symbol(caption))];
  if (key === null) return make('figure', { className: role, title: hint }, ...content);
  const button = make('button', { type: 'button', className: role, title: hint }, ...content);
  button.addEventListener('click', () => trigger('picked', { key }));
  return button;
}

function draw() {
  const rows = props.value?.rows ?? [];
  root.style.setProperty('--columns', props.value?.columns ?? 8);
  root.style.setProperty('--narrow', props.value?.narrow ?? Math.min(5, props.value?.columns ?? 5));
  root.replaceChildren(...rows.map(row => make('section', {},
    row.title ? make('h4', {}, symbol(row.title), row.note ? make('small', {}, symbol(row.note)) : null) : null,
    make('div', { className: 'cells' }, ...row.pictures.map(cell)))));
}

watch('value', draw);
draw();
