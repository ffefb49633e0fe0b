"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const { panels } = JSON.parse(document.getElementById("panels").textContent);

  const add = (parent, name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  };

  const canvas = (stage, width, height) =>
    add(stage, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });

  const short = (name, most) => (name.length > most ? name.slice(0, most - 1) + "…" : name);

  // Each drawer fills its stage once and returns how to show a snapshot.
  const drawers = {
    confusion(stage, { classes, snapshots }) {
      const num = classes.length;
      const margin = 78;
      const size = (320 - margin) / num;
      const most = 12;
      const font = Math.max(6, Math.min(10, size * 0.95));
      const svg = canvas(stage, 320, 320);
      const cells = [];
      classes.forEach((name, row) => {
        const middle = (row + 0.5) * size;
        const style = { "text-anchor": "end", "dominant-baseline": "central", style: `font-size:${font}px` };
        add(svg, "text", { x: margin - 5, y: middle, ...style }, short(name, most));
        add(svg, "text", { transform: `translate(${margin + middle} ${320 - margin + 5}) rotate(-90)`, ...style }, short(name, most));
        classes.forEach((called, column) => {
          const cell = add(svg, "rect", {
            x: margin + column * size + 0.5, y: row * size + 0.5, width: size - 1, height: size - 1, rx: 1.5,
            class: row === column ? "cell right" : "cell",
          });
          cells.push({ cell, row, column, title: add(cell, "title", {}), name, called });
        });
      });
      add(svg, "rect", { x: margin - 0.5, y: -0.5, width: 320 - margin + 1, height: 320 - margin + 1, class: "ground" });
      return (at) => {
        for (const { cell, row, column, title, name, called } of cells) {
          const share = snapshots[at][row][column];
          // The root lets rare mistakes be seen beside what is right.
          cell.style.fillOpacity = Math.sqrt(share / 100);
          title.textContent = `${name}: ${share} % called ${called}`;
        }
        return "Who is taken for whom";
      };
    },

    map(stage, found) {
      const svg = canvas(stage, 320, 256);
      const ends = (name) => {
        const values = found.snapshots.flatMap((one) => one[name]);
        return [Math.min(...values), Math.max(...values)];
      };
      const [[left, right], [low, high]] = [ends("x"), ends("y")];
      const scale = Math.min(310 / Math.max(right - left, 1e-9), 246 / Math.max(high - low, 1e-9));
      const across = (x) => 160 + scale * (x - (left + right) / 2);
      const down = (y) => 128 - scale * (y - (low + high) / 2);
      const dots = found.class.map((one) => {
        const [name, colour] = found.legend[one];
        const dot = add(svg, "circle", { r: 4, fill: colour });
        add(dot, "title", {}, name);
        return dot;
      });
      return (at) => {
        const { x, y } = found.snapshots[at];
        dots.forEach((dot, i) => {
          dot.style.transform = `translate(${across(x[i]).toFixed(1)}px, ${down(y[i]).toFixed(1)}px)`;
        });
        return "Samples on a map, coloured by class";
      };
    },

    pictures(stage) {
      const images = [...stage.querySelectorAll("img")];
      return (at) => {
        images.forEach((image, i) => {
          image.classList.toggle("off", i !== at);
          image.toggleAttribute("aria-hidden", false);
          if (i !== at) image.setAttribute("aria-hidden", "true");
        });
        return null;
      };
    },

    texts(stage, { snapshots }) {
      const samples = [...stage.querySelectorAll("dl")].map((one) => [...one.querySelectorAll("dd")]);
      return (at) => {
        samples.forEach((rows, sample) => {
          rows.forEach((row, i) => { row.textContent = snapshots[at][i][sample]; });
        });
        return null;
      };
    },
  };

  const players = [...document.querySelectorAll(".learner")].map((learner, index) => {
    const stage = learner.querySelector(".stage");
    const slider = learner.querySelector("input");
    const button = learner.querySelector("button");
    const output = learner.querySelector("output");
    const notes = [...learner.querySelectorAll("ol li")];
    const draw = drawers[panels[index].kind](stage, panels[index]);
    let timer = null;

    const show = () => {
      const at = Number(slider.value);
      const name = draw(at);
      const note = [...notes[at].children].map((one) => one.textContent).join(", ");
      if (name) stage.querySelector("svg").setAttribute("aria-label", `${name}: ${note}`);
      slider.setAttribute("aria-valuetext", note);
      output.replaceChildren(...notes[at].cloneNode(true).childNodes);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const play = () => {
      if (slider.value === slider.max) { slider.value = 0; show(); }
      button.textContent = "Pause";
      clearInterval(timer);
      timer = setInterval(forward, calm.matches ? 2000 : 1100);
    };
    const forward = () => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    };
    slider.addEventListener("input", () => { stop(); show(); });
    button.addEventListener("click", () => { if (timer) stop(); else play(); });
    show();
    return { slider, show, play };
  });

  // All from the untrained encoder on, so that they keep step.
  document.querySelector(".all button")?.addEventListener("click", () => {
    for (const { slider, show, play } of players) {
      slider.value = 0;
      show();
      play();
    }
  });
})();
