"use strict";
const $ = (id) => document.getElementById(id);
const number = location.pathname.split("/").pop();
const api = "/sandbox/phones/" + number;
const kes = (minor) => "KES " + (minor / 100).toLocaleString("en-KE", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
// A phone in Nairobi shows Nairobi time, wherever the browser is; Kenya has no summer time.
const time = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Africa/Nairobi" });

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

// All text goes in by textContent: messages come from outside.
let newest = "";
function showMessages(messages) {
  const key = messages.length ? messages[messages.length - 1].id : "";
  $("inbox-empty").hidden = messages.length > 0;
  if (key === newest) return;
  newest = key;
  $("inbox").replaceChildren(...messages.map((m) => {
    const box = document.createElement("div");
    box.className = "sms";
    const from = document.createElement("b");
    from.textContent = m.from;
    const at = document.createElement("time");
    at.textContent = time(m.at);
    box.append(from, m.text, at);
    return box;
  }));
  $("inbox").scrollTop = $("inbox").scrollHeight;
}

let shown = "";
function showPrompt(prompt) {
  $("prompt").hidden = !prompt;
  if (!prompt) { shown = ""; return; }
  const left = Math.max(0, Math.round((new Date(prompt.expires_at) - Date.now()) / 1000));
  $("left").textContent = left + " s left";
  if (prompt.checkout_request_id === shown) return;
  shown = prompt.checkout_request_id;
  $("ask").textContent = "Do you want to pay " + kes(prompt.amount_minor) + " to SENDTIP (" + prompt.short_code + ") Account no. " + prompt.account_reference + "?";
  $("pin").value = "";
  $("pin").focus();
}

const fields = ["stk", "callback", "b2c", "result"]; // of the script, each with a selection of its name
let scriptShown = false;
async function refresh() {
  try {
    const [phone, inbox] = await Promise.all([call("GET", api), call("GET", api + "/messages")]);
    $("name").textContent = phone.name.toLowerCase();
    $("msisdn").textContent = phone.msisdn;
    $("balance").textContent = kes(phone.balance_minor);
    $("clock").textContent = time(Date.now());
    document.title = phone.msisdn + " · SENDTIP sandbox";
    if (!scriptShown) {
      for (const field of fields) $(field).value = phone.script[field] || "";
      scriptShown = true;
    }
    showMessages(inbox.data);
    showPrompt(phone.prompt);
    $("offline").hidden = true;
  } catch {
    $("offline").hidden = false;
  }
}

async function answer(body) {
  try {
    const result = await call("POST", api + "/answer", body);
    note(result.receipt ? "Paid, receipt " + result.receipt : "Result " + result.result_code + ": " + result.result_desc, !result.receipt);
  } catch (error) {
    note(error.message, true);
  }
  refresh();
}

$("prompt").addEventListener("submit", (event) => {
  event.preventDefault();
  answer({ action: "pay", pin: $("pin").value });
});
$("cancel").addEventListener("click", () => answer({ action: "cancel" }));
$("expire").addEventListener("click", () => answer({ action: "expire" }));

$("c2b").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const entry = await call("POST", "/sandbox/c2b", { msisdn: number, account: $("account").value, amount_minor: Math.round(Number($("amount").value)) * 100 });
    note("Paid, receipt " + entry.receipt);
  } catch (error) {
    note(error.message, true);
  }
  refresh();
});

$("script").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const phone = await call("GET", api);
    await call("PUT", api + "/script", { ...phone.script, ...Object.fromEntries(fields.map((f) => [f, $(f).value])) });
    note("Set for this phone");
  } catch (error) {
    note(error.message, true);
  }
});

async function loop() {
  await refresh();
  setTimeout(loop, 700);
}
loop();
