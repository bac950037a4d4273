// Uses the page of `vmrun report` as a reader would: clicks, keys, search, tables. Appended to a page by
// report_test.cpp; what it finds wrong goes into the document's attribute data-wrong.
'use strict';
{
  const wrong = window.errorsSeen;
  const check = (fine, what) => fine || wrong.push(what);
  const boxes = () => [...document.querySelectorAll('#flame > div')];
  const box = (name) => boxes().find((b) => b.node.name === name);
  const key = (target, name) => target.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true}));
  const type = (input, text) => {
    input.value = text;
    input.dispatchEvent(new Event('input', {bubbles: true}));
  };
  try {
    check(performance.getEntriesByType('resource').length === 0, 'the page loads something');
    check(document.documentElement.scrollWidth <= innerWidth, 'the page is wider than the window');
    check(boxes().length >= 4, 'the flame graph has too few boxes');
    for (const name of ['all', 'outer', 'middle', 'spin']) check(box(name), 'no box ' + name);

    // By mouse.
    box('middle').click();
    check(box('middle').style.width === '100%', 'a click does not zoom');
    check(box('outer').classList.contains('above'), 'callers are not shown above');
    check(document.activeElement.node === box('middle').node, 'the box is not focused');
    check($('detail').textContent.startsWith('middle: '), 'the box is not described');
    $('reset').click();
    check(flame.zoom === flame.root, 'the whole graph does not come back');

    // By keyboard.
    for (const name of ['ArrowDown', 'ArrowDown', 'Enter']) key(document.activeElement, name);
    check(flame.zoom.depth === 2, 'Enter does not zoom to what arrows chose');
    key(document.activeElement, 'Escape');
    check(flame.zoom.depth === 1, 'Escape does not zoom out');
    key(document.activeElement, 'ArrowUp');
    check(flame.current === flame.root, 'ArrowUp does not lead to the caller');
    key(document.activeElement, '/');
    check(document.activeElement === $('search'), '/ does not search');

    type($('search'), 'SPIN');
    check(boxes().some((b) => b.classList.contains('hit')), 'the search marks nothing');
    check(/^[1-9]\d* found, (?!0\.0)/.test($('found').textContent), 'the search counts: ' + $('found').textContent);
    type($('search'), 'nothing like that');
    check($('found').textContent === '0 found, 0.0 % of the time', 'the search finds: ' + $('found').textContent);
    type($('search'), '');

    // Tables.
    const names = () => [...document.querySelectorAll('#heat tbody tr')].map((tr) => tr.cells[0].textContent);
    check(names()[0] === 'spin', 'the hottest function is ' + names()[0]);
    document.querySelector('#heat th button').click();
    check(names().join() === [...names()].sort((a, b) => a.localeCompare(b)).join(), 'names are not sorted');
    type($('filter'), 'spin');
    check(names().length >= 1 && names().every((n) => n.includes('spin')), 'the filter leaves ' + names());
    document.querySelector('#heat td button').click();
    check($('lines').querySelectorAll('tbody tr').length > 0, 'there are no instructions');
    type($('filter'), '');

    // The time line.
    const bar = document.querySelector('#time rect.opt[role]');
    check(bar, 'no optimising compile on the time line');
    bar.dispatchEvent(new MouseEvent('click', {bubbles: true}));
    check(/spin.*optimised code because of .* would have been saved/.test($('time-detail').textContent), 'no reason given');
    check(document.querySelectorAll('#compiles tbody tr').length > 1, 'the compiles are missing');

    const counters = $('rest').textContent;
    check(counters.includes('scheduler: queue latency') && !counters.includes('[object'), 'no counters of the scheduler');

    // What changed.
    if (DUMPS.length > 1) {
      check(!$('compare-section').hidden, 'nothing is compared');
      check($('compare').querySelector('.slower'), 'nothing got slower');
      const spins = [...document.querySelectorAll('#compare tbody tr')].filter((tr) => tr.cells[0].textContent === 'spin');
      check(spins.length === 1, 'spin is compared with itself in ' + spins.length + ' rows');
      $('file').value = 1;
      $('file').dispatchEvent(new Event('change'));
      check($('about').textContent.includes('tier=interp'), 'the other dump is not shown');
      check(document.querySelector('#share .interp'), 'the interpreter has no share');
    }
  } catch (error) {
    wrong.push(String(error));
  }
  document.documentElement.dataset.wrong = JSON.stringify(wrong);
}
