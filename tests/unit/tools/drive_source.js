// Uses the table of source lines in the page of `vmrun report` as a reader would. Appended to a page by lines_test.cpp; what
// it finds wrong goes into the document's attribute data-wrong. The first dump's lines include those that a hostile image
// names: with markup.
'use strict';
{
  const wrong = window.errorsSeen;
  const check = (fine, what) => fine || wrong.push(what);
  try {
    const rows = () => [...$('source').querySelectorAll('tbody tr')].map((tr) => [...tr.cells]);
    const place = (row) => row[0].textContent;
    const seconds = (row) => {
      const [number, unit] = row[1].textContent.split(/\s/);
      return Number(number) * {s: 1, ms: 1e-3, us: 1e-6, 'µs': 1e-6, ns: 1e-9}[unit];
    };
    check(!$('source-section').hidden, 'there is no section of source lines');
    const hot = rows().filter((row) => /^lines_ledger\.cpp:(24|25|26|32)$/.test(place(row)));
    check(hot.length > 0, 'the hot lines are not there: ' + rows().map(place));
    check(hot.every((row) => row[0].querySelector('span').title.startsWith('/guest/tests/guests/')), 'no whole path');
    check(hot.some((row) => /mix|spin/.test(row[3].textContent)), 'no function: ' + hot.map((row) => row[3].textContent));
    check(hot.some((row) => row[4].querySelector('code').textContent.includes('h ^= h')), 'no text of the line');

    // Most time first, then by line, then the other way round.
    const times = rows().map(seconds);
    check(times.every((t, i) => !(i > 0) || t <= times[i - 1] * 1.001), 'times are not sorted: ' + times);
    check($('source').querySelectorAll('th')[1].getAttribute('aria-sort') === 'descending', 'the order is not named');
    const press = () => $('source').querySelector('th button').click();
    press();
    const names = rows().map((row) => row[0].querySelector('span').title.split(':')[0]);
    check(names.join('\n') === [...names].sort((a, b) => a.localeCompare(b)).join('\n'), 'lines are not sorted');
    const first = place(rows()[0]);
    press();
    check(place(rows().at(-1)) === first, 'the order does not turn round');
    check(document.activeElement === $('source').querySelector('th button'), 'the focus is lost');

    // What an image says stays text.
    const odd = rows().find((row) => row[3].textContent.includes('<img'));
    check(odd, 'the odd function is missing');
    check(!document.querySelector('main img, main b, main script'), 'an image\'s names have become elements');
    check(document.title.indexOf('hit') < 0, 'an image\'s names were run');

    // No wider than the window: a wide table scrolls by itself.
    check(document.documentElement.scrollWidth <= innerWidth, 'the page is wider than the window');
    const scroll = $('source').closest('.scroll');
    scroll.focus();
    check(document.activeElement === scroll, 'the table cannot be scrolled by keyboard');
  } catch (error) {
    wrong.push(String(error));
  }
  document.documentElement.dataset.wrong = JSON.stringify(wrong);
}
