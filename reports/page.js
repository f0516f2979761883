'use strict';
(() => {
  const FILTER_FROM = 9; // rows of a table that is worth a filter
  const make = (name, props) => Object.assign(document.createElement(name), props);
  const cellText = (cell) => cell.textContent.trim();

  // Figures first, by their value; then names; then "-", whatever the direction.
  const rank = (cell) => (!cell || ['', '-'].includes(cellText(cell)) ? 2 : cell.dataset.v === undefined ? 1 : 0);
  const order = (a, b, sign) => {
    const ra = rank(a), rb = rank(b);
    if (ra !== rb) return ra === 2 || rb === 2 ? ra - rb : sign * (ra - rb);
    if (ra === 0) return sign * (Number(a.dataset.v) - Number(b.dataset.v));
    return ra === 2 ? 0 : sign * cellText(a).localeCompare(cellText(b), 'en', { numeric: true });
  };

  const sortable = (table) => {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) return;
    const asRecorded = [...body.rows];
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((th, column) => {
      const button = make('button', { type: 'button' });
      button.append(...th.childNodes);
      th.append(button);
      button.addEventListener('click', () => {
        const was = th.getAttribute('aria-sort');
        const now = was === 'ascending' ? 'descending' : was === 'descending' ? null : 'ascending';
        headers.forEach((other) => other.removeAttribute('aria-sort'));
        if (now) th.setAttribute('aria-sort', now);
        const sign = now === 'descending' ? -1 : 1;
        const rows = [...asRecorded];
        if (now) rows.sort((a, b) => order(a.cells[column], b.cells[column], sign)); // stable
        body.append(...rows);
      });
    });
  };

  // A row stays when the pattern is found in any of its cells, as patterns of the command line are found in names.
  const filterable = (box, number) => {
    const table = box.querySelector('table'), body = table.tBodies[0];
    if (!body || body.rows.length < FILTER_FROM) return;
    const id = 'filter' + number;
    const line = make('div', { className: 'filter' });
    const label = make('label', { htmlFor: id, textContent: 'Rows that match' });
    label.append(make('span', { className: 'hidden', textContent: ' in ' + table.caption.textContent }));
    const input = make('input', { id, type: 'search', placeholder: 'pattern, such as ^s4d|former$', spellcheck: false, autocomplete: 'off' });
    const said = make('span', { id: id + 's' });
    said.setAttribute('role', 'status');
    input.setAttribute('aria-describedby', said.id);
    line.append(label, input, said);
    box.before(line);
    input.addEventListener('input', () => {
      let pattern = null, wrong = '';
      try {
        pattern = new RegExp(input.value, 'u');
      } catch (error) {
        wrong = error.message;
      }
      let shown = 0;
      for (const row of body.rows) {
        row.hidden = pattern !== null && ![...row.cells].some((cell) => pattern.test(cellText(cell)));
        shown += !row.hidden;
      }
      said.className = wrong ? 'wrong' : '';
      said.textContent = wrong ? wrong + '; all rows are shown' : input.value ? `${shown} of ${body.rows.length} rows` : '';
      input.setAttribute('aria-invalid', String(wrong !== ''));
    });
  };

  // What a mark of a figure says: its <title> or data-tip, shown on hover and on focus, gone with Escape.
  const tip = make('div', { id: 'tip', hidden: true });
  tip.setAttribute('aria-hidden', 'true'); // the mark's own label is read
  let shown = null;
  const showTip = (mark) => {
    shown = mark;
    const at = mark.getBoundingClientRect();
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const left = Math.min(Math.max(4, at.left + at.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 4);
    const above = at.top - tip.offsetHeight - 8;
    tip.style.left = left + 'px';
    tip.style.top = (above > 4 ? above : at.bottom + 8) + 'px';
  };
  const tipped = () => {
    document.querySelectorAll('.figure svg title').forEach((title) => {
      const mark = title.parentNode, text = title.textContent.trim();
      if (mark.localName !== 'svg' && text) mark.dataset.tip ||= text;
      else if (text) mark.setAttribute('aria-label', text);
      title.remove(); // else the browser shows it a second time
    });
    const marks = document.querySelectorAll('.figure [data-tip]');
    marks.forEach((mark) => {
      mark.setAttribute('aria-label', mark.dataset.tip);
      mark.setAttribute('role', 'img');
      if (!mark.hasAttribute('tabindex')) mark.setAttribute('tabindex', '0');
    });
    if (!marks.length) return;
    document.body.append(tip);
    const find = (event) => event.target.closest?.('[data-tip]');
    const hide = () => { tip.hidden = true; shown = null; };
    for (const type of ['pointerover', 'focusin']) {
      document.addEventListener(type, (event) => {
        const mark = find(event);
        if (mark) showTip(mark);
        else hide();
      });
    }
    document.addEventListener('focusout', hide);
    document.addEventListener('scroll', () => shown && showTip(shown), { capture: true, passive: true }); // focus scrolls
    document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hide(); });
  };

  document.querySelectorAll('.table').forEach((box, number) => {
    sortable(box.querySelector('table'));
    filterable(box, number);
  });
  tipped();
})();
