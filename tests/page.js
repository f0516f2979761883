// Run in a report's page in a frame of 360 px by tests/reports.sh: tells the page around it what is wrong, or "fine".
(() => {
  const wrong = [];
  const expect = (what, holds) => { if (!holds) wrong.push(what); };
  const text = (cell) => cell.textContent.trim();
  addEventListener('error', (event) => wrong.push('error: ' + event.message));
  const check = () => {
    expect(`wider than the frame: ${document.documentElement.scrollWidth}`, document.documentElement.scrollWidth <= innerWidth);

    const levels = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((h) => Number(h.localName[1]));
    expect('headings skip a level', levels[0] === 1 && levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1));
    for (const a of document.querySelectorAll('a[href^="#"]')) {
      expect('a link leads nowhere: ' + a.hash, document.getElementById(a.hash.slice(1)));
    }
    for (const box of document.querySelectorAll('.table, pre, .figure')) {
      expect('a box that scrolls takes no focus', box.tabIndex === 0);
    }

    const tables = [...document.querySelectorAll('table')];
    expect('no tables', tables.length > 0);
    for (const table of tables) {
      expect('a table without caption or scope', table.caption && table.querySelector('th[scope=col]'));
      const body = table.tBodies[0], before = [...body.rows].map(text);
      if (before.length < 2) continue;
      [...table.tHead.rows[0].cells].forEach((th, column) => {
        const button = th.querySelector('button');
        for (const [sort, sign] of [['ascending', 1], ['descending', -1]]) {
          button.click();
          expect('aria-sort of ' + text(th), th.getAttribute('aria-sort') === sort);
          const cells = [...body.rows].map((row) => row.cells[column]);
          const values = cells.filter((cell) => cell.dataset.v !== undefined).map((cell) => sign * Number(cell.dataset.v));
          expect(`order of ${text(th)}, ${sort}`, values.every((v, i) => i === 0 || values[i - 1] <= v));
          const gap = cells.findIndex((cell) => text(cell) === '-');
          expect('"-" is not last', gap < 0 || cells.slice(gap).every((cell) => text(cell) === '-'));
        }
        button.click();
        expect('third click restores the order', [...body.rows].map(text).join('|') === before.join('|'));
      });
    }

    const line = document.querySelector('.filter');
    if (line) {
      const input = line.querySelector('input'), said = line.querySelector('[role=status]');
      const rows = [...line.nextElementSibling.querySelectorAll('tbody tr')];
      const shown = () => rows.filter((row) => !row.hidden).length;
      const type = (pattern) => { input.value = pattern; input.dispatchEvent(new Event('input')); };
      const name = text(rows[0].cells[0]);
      type('^' + name.slice(0, 5));
      expect('the filter leaves ' + shown(), shown() >= 1 && shown() < rows.length && !rows[0].hidden && /^\d+ of \d+ rows$/.test(text(said)));
      type('(');
      expect('a wrong pattern: ' + text(said), shown() === rows.length && text(said).includes('all rows are shown'));
      type('');
      expect('an empty filter', shown() === rows.length && text(said) === '');
    } else {
      wrong.push('no filter');
    }

    const mark = document.querySelector('.figure [data-tip]');
    if (mark) {
      const tip = document.getElementById('tip');
      mark.focus();
      expect('a mark takes no focus', document.activeElement === mark);
      mark.dispatchEvent(new FocusEvent('focusin', { bubbles: true })); // a frame that is not looked at gets none
      expect('no tip on focus', !tip.hidden && tip.textContent === mark.dataset.tip);
      document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
      expect('Escape leaves the tip', tip.hidden);
    }
    parent.postMessage(wrong.length ? [...new Set(wrong)].slice(0, 10).join('; ') : 'fine', '*');
  };
  addEventListener('load', check);
})();
