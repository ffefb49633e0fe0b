"use strict";
(() => {
  const read = (id) => document.getElementById(id).textContent;
  const sources = JSON.parse(read("figures"));
  const darkened = JSON.parse(read("darkened"));
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 640px)");

  const themed = (figure) => {
    let text = JSON.stringify(figure);
    if (dark.matches) {
      text = text.replace(/#[0-9a-f]{6}/g, (colour) => darkened[colour] || colour);
    }
    const found = JSON.parse(text);
    if (narrow.matches) {
      found.layout.font.size = 11;
      found.layout.legend = { ...found.layout.legend, font: { size: 11 } };
      found.layout.margin = { ...found.layout.margin, l: Math.min(found.layout.margin.l, 44) };
    }
    return found;
  };

  const draw = (element) => {
    const figure = themed(sources[element.dataset.figure]);
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    return Plotly.react(element, figure.data, figure.layout, options).then(() => {
      element.dataset.drawn = "yes";
    });
  };

  // One figure per frame: the words and tables can be read while the figures arrive.
  const drawAll = async () => {
    for (const element of document.querySelectorAll("[data-figure]")) {
      await draw(element);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    document.documentElement.dataset.ready = "yes";
  };

  for (const strip of document.querySelectorAll(".strip")) {
    const pictures = [...strip.querySelectorAll("img")];
    if (!pictures.length) continue;
    const slider = strip.querySelector("input");
    const show = (index) => {
      pictures.forEach((picture, i) => { picture.hidden = i !== index; });
      strip.querySelector("output").textContent = pictures[index].dataset.step;
    };
    show(pictures.length - 1);
    if (slider) slider.addEventListener("input", () => show(Number(slider.value)));
  }

  // One of several figures in one place: the chosen radio button names it.
  for (const choice of document.querySelectorAll(".chooser input")) {
    choice.addEventListener("change", () => {
      const plot = choice.closest("figure").querySelector(".plot");
      plot.dataset.figure = choice.value;
      plot.setAttribute("aria-label", choice.dataset.label);
      draw(plot);
    });
  }

  // One sound at a time; events of media do not bubble, but they can be captured.
  document.addEventListener("play", (event) => {
    for (const sound of document.querySelectorAll("audio")) {
      if (sound !== event.target) sound.pause();
    }
  }, true);

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  drawAll();
})();
