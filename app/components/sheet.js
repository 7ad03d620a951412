const root = element.querySelector('.sheet');

function cell({ image, caption, hint = '', role = '', key = null }) {
  const content = [make('img', { src: image, alt: hint || caption }), make('span', { className: 'caption' }, symbol(caption))];
  if (key === null) return make('figure', { className: role, title: hint }, ...content);
  const button = make('button', { type: 'button', className: role, title: hint }, ...content);
  button.addEventListener('click', () => trigger('picked', { key }));
  return button;
}

// As many to a row as there are, down to a width at which one still sees something.
function cells(pictures) {
  const node = make('div', { className: 'cells' }, ...pictures.map(cell));
  node.style.setProperty('--columns', props.value.columns ?? pictures.length);
  return node;
}

function draw() {
  const rows = props.value?.rows ?? [];
  root.replaceChildren(...rows.map(row => make('section', {},
    row.title ? make('h4', {}, symbol(row.title), row.note ? make('small', {}, symbol(row.note)) : null) : null,
    cells(row.pictures))));
}

watch('value', draw);
draw();
