// The test images: a filter above them, what one network says of each, and one image large with the answers of all
// networks. Without this script they are a plain list.
document.addEventListener("DOMContentLoaded", () => {
  const parts = document.getElementById("parts").content;
  const part = (name) => parts.querySelector(`.${name}`).cloneNode(true);
  document.querySelectorAll(".images").forEach((region) => arrangeImages(region, part("choice"), part("image")));
});

function arrangeImages(region, choice, dialog) {
  const list = region.querySelector(".image-grid");
  const networks = JSON.parse(list.dataset.networks);
  const [truth, network, answer] = choice.querySelectorAll("select");
  const [shown, all] = choice.querySelectorAll(".count b");
  networks.forEach((title, index) => network.add(new Option(title, index)));
  const word = (right) => answer.options[right ? 1 : 2].text;

  const items = [...list.children].map((item) => {
    const { right, probabilities, truth } = item.dataset;
    const image = item.querySelector("img");
    const button = document.createElement("button");
    button.type = "button";
    image.replaceWith(button);
    button.append(image);
    const words = item.querySelector(".answer");
    const answers = probabilities.split(",").map((probability, index) => (
      { right: right[index] === "1", text: `${probability}, ${word(right[index] === "1")}` }
    ));
    return { item, button, image, words, truth, answers, inAll: words.textContent };
  });
  all.textContent = items.length;

  // With all networks chosen, an image is right if all of them are.
  const isRight = ({ answers }) => (network.value ? answers[network.value].right : answers.every(({ right }) => right));
  const visible = () => items.filter(({ item }) => !item.hidden);
  const arrange = () => {
    for (const one of items) {
      one.item.hidden = (truth.value && truth.value !== one.truth)
        || (answer.value && (answer.value === "right") !== isRight(one));
      one.words.textContent = network.value ? one.answers[network.value].text : one.inAll;
    }
    const left = visible();
    shown.textContent = left.length;
    stop(left[0]);
    list.parentElement.scrollTop = 0;
  };
  // The images are one stop of the tab key, and the arrow keys walk among them.
  const stop = (one) => items.forEach((other) => { other.button.tabIndex = other === one ? 0 : -1; });
  const go = (one) => { stop(one); one.button.focus(); };

  let opened = null;
  const [words, answers] = ["h2", "ul"].map((name) => dialog.querySelector(name));
  const open = (one) => {
    opened = one;
    dialog.querySelector("img")?.remove();
    words.parentElement.before(one.image.cloneNode());
    words.textContent = one.image.alt;
    dialog.setAttribute("aria-label", one.image.alt);
    answers.replaceChildren(...one.answers.map(({ text }, index) => {
      const line = document.createElement("li");
      line.textContent = `${networks[index]}: ${text}`;
      return line;
    }));
    if (!dialog.open) dialog.showModal();
  };
  const neighbour = (one, step) => {
    const left = visible();
    return left[left.indexOf(one) + step];
  };
  const turn = (step) => {
    const next = neighbour(opened, step);
    if (next) open(next);
  };
  dialog.addEventListener("close", () => go(opened));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
    if (event.target.closest(".previous")) turn(-1);
    if (event.target.closest(".next")) turn(1);
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) turn(step);
  });

  list.addEventListener("click", (event) => {
    const one = items.find(({ button }) => button.contains(event.target));
    if (one) open(one);
  });
  list.addEventListener("keydown", (event) => {
    const one = items.find(({ button }) => button === event.target);
    if (!one) return;
    const left = visible();
    const columns = left.filter(({ item }) => item.offsetTop === left[0].item.offsetTop).length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = neighbour(one, step);
    if (next) go(next);
  });
  choice.addEventListener("change", arrange);
  region.before(choice);
  document.body.append(dialog);
  arrange();
}
