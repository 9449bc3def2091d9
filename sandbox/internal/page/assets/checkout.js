"use strict";
const $ = (id) => document.getElementById(id);
const code = location.pathname.split("/").pop();
const money = (p) => p.currency + " " + (p.amount_minor / 100).toLocaleString("en-KE", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const states = { success: "This payment has been made.", failed: "The payment failed. You can try again." };
let payment;

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
function show(p) {
  payment = p;
  $("what").textContent = "You are asked to pay " + money(p) + ".";
  $("reference").textContent = "Reference " + p.reference;
  $("pay").hidden = p.status === "success" || (p.status === "failed" && Boolean(p.phone));
  if (states[p.status]) note(states[p.status], p.status === "failed");
}

async function answer(action) {
  try {
    show(await call("POST", "/sandbox/paystack/references/" + encodeURIComponent(payment.reference) + "/answer", { action }));
    if (payment.status === "success" && payment.callback_url) {
      const next = new URL(payment.callback_url);
      next.searchParams.set("trxref", payment.reference);
      next.searchParams.set("reference", payment.reference);
      location.href = next.href;
    }
  } catch (error) {
    note(error.message, true);
  }
}

$("pay").addEventListener("submit", (event) => {
  event.preventDefault();
  answer("pay");
});
$("fail").addEventListener("click", () => answer("fail"));

call("GET", "/sandbox/paystack/checkouts/" + encodeURIComponent(code)).then(show, (error) => {
  $("what").textContent = "This page does not exist.";
  note(error.message, true);
});
