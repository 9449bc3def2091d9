"use strict";
const $ = (id) => document.getElementById(id);
const code = location.pathname.split("/").pop();
const api = "/sandbox/organisations/" + code;
const amount = (minor) => (minor / 100).toLocaleString("en-KE", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
// As the portal shows it: Nairobi time, wherever the browser is.
const time = (at) => new Date(at).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "medium", timeZone: "Africa/Nairobi" });
const kinds = { opening: "opening balance", adjustment: "balance set by hand", stk: "prompt paid", c2b: "paybill", b2c: "payout", b2b: "to short code",
  float: "float moved", reversal: "reversal", reversed_b2c: "payout reversed" };

async function call(method, path, body) {
  const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  const data = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(data.error || answer.statusText);
  return data;
}

function note(text, bad) {
  $("note").textContent = text;
  $("note").classList.toggle("bad", Boolean(bad));
}

// All text goes in by textContent: references come from outside.
function cell(text, className) {
  const td = document.createElement("td");
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

let shown = -1;
function showLines(statement) {
  $("count").textContent = statement.count ? String(statement.count) : "";
  $("lines-empty").hidden = statement.count > 0;
  if (statement.count === shown) return; // keep a selection that is being copied
  shown = statement.count;
  $("lines").replaceChildren(...statement.data.slice().reverse().map((m) => {
    const row = document.createElement("tr");
    row.append(cell(time(m.at)), cell(m.receipt), cell((kinds[m.kind] || m.kind) + (m.original_receipt ? " of " + m.original_receipt : "")),
      cell(m.party || ""), cell(m.account), cell(amount(m.amount_minor), "sum"), cell(m.charge_minor ? amount(m.charge_minor) : "", "sum"),
      cell(amount(m.balance_minor), "sum"));
    row.title = [m.account_reference, m.originator_conversation_id, m.conversation_id].filter(Boolean).join(" · ");
    return row;
  }));
}

async function refresh() {
  try {
    const [organisation, statement] = await Promise.all([call("GET", api), call("GET", api + "/statement?last=200")]);
    $("code").textContent = organisation.short_code;
    document.title = organisation.short_code + " · SENDTIP sandbox";
    $("utility").textContent = "KES " + amount(organisation.utility_minor);
    $("working").textContent = "KES " + amount(organisation.working_minor);
    $("charges").textContent = "KES " + amount(organisation.charges_minor);
    showLines(statement);
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
}

for (const link of document.querySelectorAll(".file")) link.href = api + "/statement.csv?account=" + link.dataset.account;

$("float").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = {};
  for (const [field, id] of [["utility_minor", "new-utility"], ["working_minor", "new-working"]]) {
    if ($(id).value !== "") body[field] = Math.round(Number($(id).value) * 100);
  }
  try {
    await call("PUT", api + "/float", body);
    note("Set");
  } catch (error) {
    note(error.message, true);
  }
  refresh();
});

async function loop() {
  await refresh();
  setTimeout(loop, 1000);
}
loop();
