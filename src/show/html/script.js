'use strict';
// Sorting, filtering and copying. The page says everything without it.
(() => {
  const byId = (id) => document.getElementById(id);

  const copy = byId('copy');
  if (copy) {
    copy.hidden = false;
    copy.addEventListener('click', async () => {
      const code = byId('command');
      try {
        await navigator.clipboard.writeText(code.textContent);
        copy.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(code);
        copy.textContent = 'Selected: press Ctrl+C';
      }
      setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
    });
  }

  const table = byId('tensors');
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({
    row,
    text: [1, 2, 3].map((i) => row.cells[i].textContent).join(' ').toLowerCase(),
  }));

  let order = rows;

  // Filter. Laying out thousands of rows takes a second, so only the first are shown until all are asked for.
  const form = byId('filter');
  const find = byId('find');
  const status = byId('status');
  const shown = byId('shown');
  const all = byId('all');
  let limit = 500;
  form.hidden = false;
  form.addEventListener('submit', (event) => event.preventDefault());
  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = status.value;
    let matching = 0;
    for (const { row, text } of order) {
      const match = (!wanted || row.classList.contains(wanted)) && words.every((word) => text.includes(word));
      matching += match ? 1 : 0;
      const keep = match && matching <= limit;
      if (row.hidden === keep) row.hidden = !keep;
    }
    all.hidden = matching <= limit;
    const matches = matching < rows.length ? `${matching} of ${rows.length}` : `all ${matching}`;
    shown.textContent = all.hidden ? `showing ${matches}` : `showing the first ${limit}; ${matches} match`;
  };
  let pending = 0;
  const soon = () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(show);
  };
  find.addEventListener('input', soon);
  status.addEventListener('change', soon);
  all.addEventListener('click', () => {
    limit = Infinity;
    show();
  });
  show();

  // A link to a row (from the chart) must find it, whatever is filtered.
  const reveal = () => {
    const row = /^#t\d+$/.test(location.hash) && byId(location.hash.slice(1));
    if (row && row.hidden) {
      find.value = '';
      status.value = '';
      limit = Infinity;
      show();
    }
    if (row) row.scrollIntoView({ block: 'center' });
  };
  addEventListener('hashchange', reveal);
  reveal();

  // Sort: "Inf" is larger than any number; "-" and "NaN" go last either way.
  const value = (row, column, numeric) => {
    const text = row.cells[column].textContent;
    if (!numeric) return text;
    const number = parseFloat(text.replace(/[>,]/g, '').replace('Inf', 'Infinity'));
    return Number.isNaN(number) ? null : number;
  };
  const sort = (column, numeric, sign) => {
    const keyed = rows.map((entry, index) => ({ entry, index, key: value(entry.row, column, numeric) }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.index - b.index;
      const order = numeric ? (a.key > b.key) - (a.key < b.key) : a.key.localeCompare(b.key);
      return sign * order || a.index - b.index;
    });
    order = keyed.map((each) => each.entry);
    show();
    body.append(...order.map((entry) => entry.row));
  };
  const titles = Array.from(table.tHead.rows[0].cells);
  titles.forEach((title, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...title.childNodes);
    title.append(button);
    const numeric = title.classList.contains('n');
    button.addEventListener('click', () => {
      const first = numeric && column > 0 ? 'descending' : 'ascending';
      const other = first === 'ascending' ? 'descending' : 'ascending';
      const next = title.getAttribute('aria-sort') === first ? other : first;
      titles.forEach((each) => each.removeAttribute('aria-sort'));
      title.setAttribute('aria-sort', next);
      sort(column, numeric, next === 'ascending' ? 1 : -1);
    });
  });
})();
