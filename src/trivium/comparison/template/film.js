"use strict";
(() => {
  const panels = JSON.parse(document.getElementById("panels").textContent);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const SECONDS = 1.0;

  const painters = {
    confusion: (stage, shares) => {
      const rows = [...stage.querySelectorAll("tr")];
      shares.forEach((row, i) => {
        const cells = rows[i].querySelectorAll("td");
        row.forEach((share, j) => cells[j].style.setProperty("--share", share));
      });
    },
    map: (stage, [x, y]) => {
      stage.querySelectorAll("circle").forEach((point, i) => {
        point.style.transform = `translate(${x[i]}px, ${y[i]}px)`;
      });
    },
    pictures: (stage, uri) => { stage.querySelector("img").src = uri; },
    texts: (stage, _, index) => {
      stage.querySelectorAll("dl").forEach((rows, i) => { rows.hidden = i !== index; });
    },
  };

  for (const element of document.querySelectorAll("[data-panel]")) {
    const { kind, captions, frames } = panels[Number(element.dataset.panel)];
    const stage = element.querySelector(".stage");
    const slider = element.querySelector("input");
    const button = element.querySelector("button");
    const last = captions.length - 1;
    let timer = null;

    const show = (index) => {
      slider.value = index;
      slider.setAttribute("aria-valuetext", captions[index]);
      element.querySelector("output").textContent = captions[index];
      element.dataset.step = index;
      painters[kind](stage, frames[index], index);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const play = () => {
      let index = 0;
      show(index);
      button.textContent = "Stop";
      timer = setInterval(() => {
        index += 1;
        show(index);
        if (index >= last) stop();
      }, 1000 * SECONDS);
    };

    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    button.addEventListener("click", () => (timer ? stop() : play()));
    // Whoever asked for less motion moves the slider.
    button.hidden = still.matches;
    show(last);
  }
})();
