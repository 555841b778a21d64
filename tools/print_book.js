// One page's article as it stands, made to live beside the others: ids carry the page's name, what a
// control holds is written down, and a link to another page of the book leads into the document.
async name => {
  await Promise.all([...document.querySelectorAll(".widget")].map(async box => {
    while (!box.querySelector(".ln-lab")) await new Promise(later => setTimeout(later, 20));
  }));
  const article = document.querySelector("article.bd-article");
  for (const unwanted of article.querySelectorAll("script, .headerlink, .copybtn")) {
    unwanted.remove();
  }
  for (const input of article.querySelectorAll("input")) {
    input.setAttribute("value", input.value);
    input.toggleAttribute("checked", input.checked);
    if (input.name) input.name = `${name}--${input.name}`;
  }
  for (const canvas of article.querySelectorAll("canvas")) {
    const image = Object.assign(new Image(), { src: canvas.toDataURL() });
    const { width, height } = canvas.getBoundingClientRect();
    image.className = "canvas";
    image.style = `width: ${width}px; height: ${height}px`;
    image.alt = canvas.getAttribute("aria-label") ?? "";
    canvas.replaceWith(image);
  }
  const known = new Set([...article.querySelectorAll("[id]")].map(e => e.id));
  const inHere = id => known.has(id) ? `${name}--${id}` : id;
  const refer = text => text.replace(/url\(#([^)]+)\)/g, (_, id) => `url(#${inHere(id)})`);
  for (const element of article.querySelectorAll("*")) {
    for (const { name: key, value } of [...element.attributes]) {
      if (key === "id") element.id = inHere(value);
      else if (key === "for" || key.startsWith("aria-")) {
        element.setAttribute(key, value.split(" ").map(inHere).join(" "));
      } else if (value.includes("url(#")) {
        element.setAttribute(key, refer(value));
      } else if (key === "src") element.setAttribute(key, element.src);
    }
  }
  for (const style of article.querySelectorAll("style")) {
    style.textContent = refer(style.textContent);
  }
  const here = new URL(".", location);
  for (const link of article.querySelectorAll("a[href]")) {
    const to = new URL(link.href);
    const path = to.href.slice(here.href.length).split("#")[0];
    const inside = to.protocol === "file:" && /^(\w+)\.html$/.exec(path);
    if (inside) {
      const id = decodeURIComponent(to.hash.slice(1));
      link.setAttribute("href", id ? `#${inside[1]}--${id}` : `#${inside[1]}`);
    } else if (to.protocol === "file:") link.removeAttribute("href");
  }
  const sections = [...article.querySelectorAll("section > h2")];
  return {
    body: article.innerHTML,
    title: article.querySelector("h1").textContent.trim(),
    styles: [...document.querySelectorAll("head style")].map(style => style.textContent),
    sections: sections.map(h2 => [h2.closest("section").id, h2.textContent.trim()]),
  };
}
