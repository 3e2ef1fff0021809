// What makes the pages pleasant; without it they work, too.
"use strict";

// ---- light or dark, as the Hub's own pages have it ----

const THEME = "jupyterhub-bs-theme";
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null;
  }
}

function showTheme() {
  const stored = storedTheme();
  const theme = ["light", "dark"].includes(stored) ? stored : prefersDark.matches ? "dark" : "light";
  document.documentElement.dataset.bsTheme = theme;
}

showTheme();
prefersDark.addEventListener("change", showTheme);

// ---- times in the reader's zone; their title has UTC ----

const parts = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
const ofThisYear = new Intl.DateTimeFormat(undefined, parts);
const ofOthers = new Intl.DateTimeFormat(undefined, { year: "numeric", ...parts });

function showTimes() {
  const year = new Date().getFullYear();
  for (const element of document.querySelectorAll("time")) {
    const at = new Date(element.dateTime);
    const text = (at.getFullYear() === year ? ofThisYear : ofOthers).format(at);
    element.textContent = text.replace(/\s(?=[AP]M$)/, "\u00a0"); // in one line
  }
}

// ---- the answer to a call that is tried; asked for by the browser, so with the reader's rights ----

const SHOWN = 100000; // characters

async function showAnswer(element) {
  try {
    const headers = { Accept: "application/json", "X-XSRFToken": element.dataset.token };
    const response = await fetch(element.dataset.url, { headers });
    let text = await response.text();
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // it is no JSON
    }
    element.querySelector(".status").textContent = `${response.status} ${response.statusText}`;
    const rest = text.length > SHOWN ? "\n… the link above has the rest" : "";
    element.querySelector("pre").textContent = text.slice(0, SHOWN) + rest;
  } catch (error) {
    element.querySelector(".status").textContent = `No answer: ${error.message}`;
  }
  element.hidden = false;
}

// ---- buttons that copy the text of a field ----

function offerCopying() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        document.execCommand("copy"); // where there is no https
      }
      button.textContent = "Copied";
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  showTimes();
  for (const element of document.querySelectorAll(".answer")) {
    showAnswer(element);
  }
  offerCopying();
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const dark = document.documentElement.dataset.bsTheme === "dark";
    localStorage.setItem(THEME, dark ? "light" : "dark");
    showTheme();
  });
});
