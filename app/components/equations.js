const root = element.querySelector('.equations');

function term(part) {
  if (part.image === undefined) return make('span', { className: part.role ?? '' }, symbol(part.text));
  const image = make('img', { src: part.image, alt: `${part.symbol}: ${part.hint}`, title: part.hint });
  return make('figure', { className: part.role ?? '' }, image,
    make('figcaption', {}, symbol(part.symbol)));
}

function draw() {
  const rows = props.value?.rows ?? [];
  root.replaceChildren(...rows.map(row => make('section', { className: 'row' },
    make('h4', {}, symbol(row.title)),
    row.terms.length ? make('div', { className: 'terms' }, ...row.terms.map(term)) : null,
    row.note ? make('p', { className: 'note' }, symbol(row.note)) : null)));
}

watch('value', draw);
draw();
