const root = element.querySelector('.picker');

function draw() {
  const { choices = [], chosen = null } = props.value ?? {};
  root.replaceChildren(...choices.map((choice, index) => {
    const button = make('button', { type: 'button', title: choice.title },
      make('img', { src: choice.image, alt: choice.title }));
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-checked', String(choice.key === chosen));
    button.tabIndex = choice.key === chosen || (chosen === null && index === 0) ? 0 : -1;
    button.addEventListener('click', () => pick(index));
    return button;
  }));
}

function pick(index) {
  const buttons = [...root.children];
  buttons.forEach((button, i) => {
    button.setAttribute('aria-checked', String(i === index));
    button.tabIndex = i === index ? 0 : -1;
  });
  buttons[index].focus();
  trigger('picked', { key: props.value.choices[index].key });
}

root.addEventListener('keydown', event => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const index = [...root.children].indexOf(document.activeElement);
  if (!by || index < 0) return;
  event.preventDefault();
  pick((index + by + root.children.length) % root.children.length);
});

watch('value', draw);
draw();
