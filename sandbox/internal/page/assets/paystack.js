"use strict";
const $ = (id) => document.getElementById(id);
const amount = (minor) => (minor / 100).toLocaleString("en-KE", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
// Nairobi time, wherever the browser is.
const time = (at) => new Date(at).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "medium", timeZone: "Africa/Nairobi" });
const kinds = { opening: "opening balance", adjustment: "balance set by hand", charge: "payment", refund_failed: "refund failed",
  transfer_failed: "transfer failed", transfer_reversed: "transfer reversed" };

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

// All text goes in by textContent: references and names come from outside.
function row(...cells) {
  const tr = document.createElement("tr");
  for (const c of cells) {
    const td = document.createElement("td");
    td.append(c.node || c.text || "");
    if (c.sum) td.className = "sum";
    tr.append(td);
  }
  return tr;
}
const text = (t) => ({ text: t });
const sum = (minor) => ({ text: minor ? amount(minor) : "", sum: true });

function link(p) {
  const a = document.createElement("a");
  a.href = "/paystack/checkout/" + encodeURIComponent(p.access_code);
  a.textContent = p.reference;
  return { node: a };
}

let shown = "";
function show(statement, payments, payouts) {
  const key = JSON.stringify([statement.count, payments, payouts]);
  if (key === shown) return; // keep a selection that is being copied
  shown = key;
  $("balances").replaceChildren(...Object.entries(statement.balances).map(([currency, minor]) => {
    const box = document.createElement("div");
    const name = document.createElement("dt");
    const value = document.createElement("dd");
    name.textContent = currency;
    value.textContent = amount(minor);
    box.append(name, value);
    return box;
  }));
  $("count").textContent = String(statement.count);
  $("payments-empty").hidden = payments.length > 0;
  $("payouts-empty").hidden = payouts.length > 0;
  $("payments").replaceChildren(...payments.map((p) => row(text(time(p.at)), link(p), text(p.phone), text(p.status), sum(p.amount_minor),
    sum(p.refunded_minor))));
  $("payouts").replaceChildren(...payouts.map((p) => row(text(time(p.at)), text(p.reference), text(p.name + " · " + p.bank + " · " + p.account),
    text(p.status), sum(p.amount_minor), sum(p.fee_minor))));
  $("lines").replaceChildren(...statement.data.slice(-200).reverse().map((l) => row(text(time(l.at)), text(kinds[l.kind] || l.kind),
    text(l.reference), text(l.party), sum(l.amount_minor), sum(l.fee_minor), { text: amount(l.balance_minor), sum: true })));
}

async function refresh() {
  try {
    const [statement, payments, payouts] = await Promise.all([get("/sandbox/paystack/statement?last=200"), get("/sandbox/paystack/payments"),
      get("/sandbox/paystack/payouts")]);
    show(statement, payments.data, payouts.data);
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
  setTimeout(refresh, 1000);
}
refresh();
