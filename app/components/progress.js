const root = element.querySelector('.progress');
const title = document.createTextNode(''), rest = document.createTextNode('');
const bar = make('progress', { max: 1, value: 0 });
const pictures = make('div', { className: 'pictures' });
const body = make('div', { className: 'body' }, pictures,
  make('div', { className: 'words' }, make('b', {}, title), bar, make('span', {}, rest)));
bar.setAttribute('aria-label', say('progress of the run'));

function draw() {
  const now = props.value;
  root.replaceChildren(...(now ? [body] : []));
  if (!now) return;
  title.data = now.title;
  bar.max = now.of;
  bar.value = now.done;
  const left = now.seconds ? ` · ${say('{0} s left', now.seconds.toFixed(now.seconds < 10 ? 1 : 0))}` : '';
  rest.data = now.text ?? say('{0} of {1}', now.done, now.of) + left;
  (now.pictures ?? []).forEach(({ image, symbol: sign }, i) => {
    pictures.children[i] ?? pictures.append(make('figure', {}, make('img', { alt: '' }), make('figcaption')));
    const [img, caption] = pictures.children[i].children;
    img.src = image;
    caption.replaceChildren(symbol(sign));
  });
}

watch('value', draw);
draw();
