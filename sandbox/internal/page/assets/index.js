"use strict";
const $ = (id) => document.getElementById(id);
const kes = (minor) => "KES " + (minor / 100).toLocaleString("en-KE", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
// As the phones show it: Nairobi time, wherever the browser is.
const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "Africa/Nairobi" });

// All text goes in by textContent: messages come from outside.
function make(tag, className, text) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  if (text !== undefined) el.textContent = text;
  return el;
}

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

function row(left, meta, right, rightMeta) {
  const li = make("li");
  const a = make("div");
  a.append(left, make("span", "meta", meta));
  const b = make("div", "right");
  b.append(right, make("span", "meta", rightMeta));
  li.append(a, b);
  return li;
}

let seen = "";
function showPhones(phones) {
  $("phones-count").textContent = phones.length ? String(phones.length) : "";
  $("phones-empty").hidden = phones.length > 0;
  $("phones").replaceChildren(...phones.map((p) => {
    const link = make("a", "", p.msisdn);
    link.href = "/phone/" + encodeURIComponent(p.msisdn.slice(1));
    const right = p.prompt ? make("span", "badge", "prompt " + kes(p.prompt.amount_minor)) : kes(p.balance_minor);
    return row(link, p.name.toLowerCase().replace(/\b\w/g, (c) => c.toUpperCase()), right, p.messages + " SMS");
  }));
}

function showPayments(s) {
  $("total").textContent = s.count ? s.count + " · " + kes(s.total_minor) : "";
  $("payments-empty").hidden = s.count > 0;
  $("payments").replaceChildren(...s.data.slice(-30).reverse().map((e) =>
    row(make("b", "", e.receipt), e.msisdn + " · " + (e.account_reference || "no account"), kes(e.amount_minor), e.kind.toUpperCase() + " · " + clock(e.at))));
}

function showOrganisations(list) {
  $("organisations").replaceChildren(...list.map((o) => {
    const link = make("a", "", o.short_code);
    link.href = "/organisation/" + encodeURIComponent(o.short_code);
    return row(link, o.movements + (o.movements === 1 ? " movement" : " movements"), kes(o.utility_minor), "Utility account");
  }));
}

function showMails(mails) {
  $("mails-count").textContent = mails.length ? String(mails.length) : "";
  $("mails-empty").hidden = mails.length > 0;
  const key = mails.length ? mails[mails.length - 1].id : "";
  if (key === seen) return; // keep the mails that are open
  seen = key;
  $("mails").replaceChildren(...mails.slice(-30).reverse().map((m) => {
    const box = make("details");
    const head = make("summary", "", m.subject || "(no subject)");
    head.append(make("span", "meta", "to " + m.to.join(", ") + " · " + clock(m.at)));
    box.append(head, make("pre", "", m.text || m.html || ""));
    return box;
  }));
}

async function refresh() {
  try {
    const [phones, statement, organisations, mails] = await Promise.all([get("/sandbox/phones"), get("/sandbox/statement?last=30"),
      get("/sandbox/organisations"), get("/sandbox/mails")]);
    showPhones(phones.data);
    showPayments(statement);
    showOrganisations(organisations.data);
    showMails(mails.data);
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
  setTimeout(refresh, 1000);
}

$("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = "/phone/" + encodeURIComponent($("number").value.replace(/[^0-9]/g, ""));
});
refresh();
