"use strict";
/* The viewer of a forecast's page: NiiVue on volumes that stand in the page itself.
   Layers: last scan or a drawn one, drawn scan, growth map, outlines of the last visit's tumour and
   of a later one. */
(async () => {
  const $ = (id) => document.getElementById(id);
  const root = $("viewer");
  if (!root) return;
  const failed = (why) => {
    root.classList.add("failed");
    $("viewer-status").textContent = `The viewer needs WebGL 2 (${why}). The pictures below show the same.`;
  };
  if (!document.createElement("canvas").getContext("webgl2")) return failed("this browser has none");
  const setup = JSON.parse($("viewer-setup").textContent);
  const canvas = $("viewer-canvas");
  // Colour maps: index 0 is transparent, so that an overlay's background lets the scan through.
  const grey = { R: [0, 0, 255], G: [0, 0, 255], B: [0, 0, 255], A: [0, 255, 255], I: [0, 1, 255] };
  const base = { R: [0, 255], G: [0, 255], B: [0, 255], A: [255, 255], I: [0, 255] };
  const fire = { R: [120, 120, 203, 240, 252, 252], G: [28, 28, 71, 127, 200, 255],
    B: [109, 109, 119, 60, 40, 164], A: [0, 255, 255, 255, 255, 255], I: [0, 1, 64, 128, 192, 255] };
  const red = { R: [0, 230, 230], G: [0, 120, 120], B: [0, 60, 60], A: [0, 255, 255], I: [0, 1, 255] };
  const blue = { R: [0, 86, 86], G: [0, 180, 180], B: [0, 233, 233], A: [0, 255, 255], I: [0, 1, 255] };
  const nv = new niivue.Niivue({
    logLevel: "error", loadingText: "", dragAndDropEnabled: false, isRadiologicalConvention: true,
    sagittalNoseLeft: true, backColor: [0, 0, 0, 1], crosshairColor: [0.34, 0.71, 0.91, 0.7],
    crosshairWidth: 1, show3Dcrosshair: false, isColorbar: false, multiplanarForceRender: false,
    fontMinPx: 13,
  });
  await nv.attachToCanvas(canvas);
  nv.addColormap("scan", base);
  nv.addColormap("drawn", grey);
  nv.addColormap("probability", fire);
  nv.addColormap("outline", blue);
  nv.addColormap("later", red);
  nv.opts.multiplanarShowRender = 0; // never a 3D rendering beside the planes
  // NiiVue computes gradients for 3D rendering at every change: half of the time without a GPU.
  // An empty viewport skips their pixels.
  for (const shader of [nv.blurShader, nv.sobelFirstOrderShader]) {
    const { use } = shader;
    shader.use = (gl) => { gl.viewport(0, 0, 0, 0); use.call(shader, gl); };
  }

  const decoded = new Map();
  async function image(key, colormap, low) {
    if (!decoded.has(key)) {
      const base64 = $(`volume-${key}`).textContent.trim();
      decoded.set(key, await niivue.NVImage.loadFromBase64({
        base64, name: `${key}.nii.gz`, colormap, opacity: 1, cal_min: low, cal_max: 255,
        trustCalMinMax: false,
      }));
    }
    const made = decoded.get(key);
    made.cal_min = low;
    made.cal_max = 255;
    return made;
  }

  const value = (id, otherwise) => ($(id) ? $(id).value : otherwise);
  const plane = { axial: 2, coronal: 1, sagittal: 0, planes: 2 };
  let view = "planes";
  let growthLayer = null;
  const fraction = () => Number(value("viewer-threshold", 50)) / 100;

  let turn = 0;
  async function compose() {
    const mine = ++turn;
    root.setAttribute("aria-busy", "true");
    const contrast = value("viewer-contrast", setup.contrasts[0]);
    const map = value("viewer-map", setup.maps[0].key);
    const drawn = value("viewer-drawn", setup.drawn.length ? setup.drawn[0].key : "");
    const blend = Number(value("viewer-blend", 0)) / 100;
    const scan = await image(`scan-${contrast}`, "scan", 0);
    async function whole(key) { // the file holds drawn slices alone; others are the last scan
      const made = await image(`${key}-${contrast}`, "drawn", 0.5);
      if (!made.filled) {
        const { img } = made;
        for (let i = 0; i < img.length; i++) if (img[i] === 0) img[i] = scan.img[i];
        made.filled = true;
      }
      made.colormapType = 2; // transparent below cal_min
      return made;
    }
    const layers = [scan];
    const from = value("viewer-from", "scan");
    scan.opacity = 1;
    const wanted = [[from, from === "scan" || from === drawn ? 0 : 1], [drawn, blend]];
    for (const [key, opacity] of wanted) {
      if (!opacity || !$(`volume-${key}-${contrast}`)) continue;
      const future = await whole(key);
      future.opacity = opacity;
      layers.push(future);
    }
    const shown = map === "none" ? setup.maps[0].key : map;
    const growth = await image(shown, "probability", Math.max(255 * fraction(), 0.5));
    growth.colormapType = 2;
    growth.opacity = map === "none" ? 0 : Number(value("viewer-opacity", 60)) / 100;
    layers.push(growth);
    for (const { key } of setup.outlines) {
      const edge = await image(key, key, 0.5);
      edge.colormapType = 2;
      edge.opacity = $(`viewer-${key}`).checked ? 1 : 0;
      layers.push(edge);
    }
    if (mine !== turn) return; // another choice was made meanwhile
    growthLayer = growth;
    nv.volumes = layers;
    nv.back = layers[0];
    nv.overlays = layers.slice(1);
    nv.updateGLVolume();
    root.setAttribute("aria-busy", "false");
    say();
  }

  const steps = (axis) => nv.volumes[0].dimsRAS[axis + 1];
  const at = (axis) => Math.min(steps(axis) - 1, Math.floor(nv.scene.crosshairPos[axis] * steps(axis)));
  function move(axis, index) {
    const n = steps(axis);
    const wanted = Math.max(0, Math.min(n - 1, index));
    nv.scene.crosshairPos[axis] = (wanted + 0.5) / n;
    nv.drawScene();
    say();
  }

  const percent = (v) => `${Math.round(100 * v)}%`;
  function say() {
    const axis = plane[view];
    const slider = $("viewer-slice");
    slider.max = steps(axis) - 1;
    slider.value = at(axis);
    $("viewer-slice-name").textContent = `${["sagittal", "coronal", "axial"][axis]} slice`;
    const z = at(2) + setup.first_z;
    const [x, y, k] = [at(0), at(1), at(2)];
    const p = growthLayer.getValue(x, y, k) / 255;
    const words = [`axial slice z=${z}`, `probability at the cross: ${percent(p)}`];
    if (setup.drawn.length && (Number(value("viewer-blend", 0)) > 0 || value("viewer-from", "scan") !== "scan")) {
      words.push(setup.drawn_z.includes(z) ? "this slice is drawn"
        : `not drawn; drawn slices: ${setup.drawn_z.join(", ")}`);
    }
    $("viewer-status").textContent = words.join(" · ");
    for (const name of ["threshold", "opacity", "blend"]) {
      const out = $(`viewer-${name}-out`);
      if (out) out.textContent = `${value(`viewer-${name}`, "")}%`;
    }
    for (const button of root.querySelectorAll("[data-z]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.z) === z));
    }
  }

  function show(name) {
    view = name;
    const types = { axial: 0, coronal: 1, sagittal: 2, planes: 3 };
    for (const button of root.querySelectorAll("[data-plane]")) {
      button.setAttribute("aria-pressed", String(button.dataset.plane === name));
    }
    nv.setSliceType(types[name]);
    say();
  }

  for (const id of ["contrast", "map", "drawn", "from", "threshold", "opacity", "outline", "later"]) {
    const control = $(`viewer-${id}`);
    if (control) control.addEventListener("input", compose);
  }
  if ($("viewer-blend")) {
    $("viewer-blend").addEventListener("input", () => {
      const here = at(2) + setup.first_z;
      if (!setup.drawn_z.includes(here)) { // the nearest slice that was drawn
        const near = [...setup.drawn_z].sort((a, b) => Math.abs(a - here) - Math.abs(b - here));
        move(2, near[0] - setup.first_z);
      }
      compose();
    });
  }
  $("viewer-slice").addEventListener("input", (e) => move(plane[view], Number(e.target.value)));
  for (const button of root.querySelectorAll("[data-plane]")) {
    button.addEventListener("click", () => show(button.dataset.plane));
  }
  for (const button of root.querySelectorAll("[data-z]")) {
    button.addEventListener("click", () => move(2, Number(button.dataset.z) - setup.first_z));
  }
  const keys = { ArrowUp: [2, 1], ArrowDown: [2, -1], ArrowRight: [0, 1], ArrowLeft: [0, -1],
    PageUp: [1, 1], PageDown: [1, -1] };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [axis, step] = keys[event.key];
    const here = view === "planes" ? axis : plane[view];
    move(here, at(here) + step);
  }, true);
  nv.onLocationChange = say;

  try {
    await compose();
    nv.scene.crosshairPos.splice ? nv.scene.crosshairPos.splice(0, 3, ...setup.centre)
      : nv.scene.crosshairPos.set(setup.centre);
    show(matchMedia("(max-width: 40rem)").matches ? "axial" : "planes");
    root.classList.add("ready");
  } catch (error) {
    failed(error.message);
    throw error;
  }
})();
