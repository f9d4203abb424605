"use strict";
// Renders /api/openapi.json for people. Only text nodes are made from the document, so nothing in it can become markup.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const child of children.flat()) made.append(child);
  return made;
}

function nameOf(reference) {
  return reference.split("/").pop();
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return element("a", { href: "#schema-" + name }, name);
  }
  const variants = schema.anyOf || schema.oneOf || schema.allOf;
  if (variants) return element("span", {}, variants.flatMap((one, place) => (place ? [" | ", typeOf(one)] : [typeOf(one)])));
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return element("span", {}, "[", typeOf(schema.items), "]");
  return [schema.type, schema.format && "(" + schema.format + ")"].filter(Boolean).join(" ") || "any";
}

function limitsOf(schema) {
  const names = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
    "maxItems", "pattern", "default"];
  const found = [schema, ...(schema.anyOf || [])].flatMap((one) =>
    names.filter((name) => one[name] !== undefined && one[name] !== null).map((name) => name + " " + JSON.stringify(one[name])));
  return [...new Set(found)].join(", ");
}

function fieldTable(rows) {
  const body = rows.map(([name, required, schema, text]) => element("tr", {},
    element("td", {}, element("code", {}, name), required ? " *" : ""),
    element("td", {}, typeOf(schema)),
    element("td", {}, [text, limitsOf(schema)].filter(Boolean).join("; "))));
  return element("table", {}, element("tbody", {}, body));
}

function schemaView(schema) {
  if (schema.properties) {
    const required = schema.required || [];
    return fieldTable(Object.entries(schema.properties).map(
      ([name, field]) => [name, required.includes(name), field, field.description]));
  }
  return element("p", {}, typeOf(schema));
}

function contentOf(holder) {
  return Object.entries(holder.content || {}).map(([kind, one]) =>
    element("p", {}, element("code", {}, kind), " ", typeOf(one.schema)));
}

function operationView(path, method, operation) {
  const secured = (operation.security || []).some((one) => one.bearer);
  const optional = (operation.security || []).some((one) => Object.keys(one).length === 0);
  const view = element("details", { id: operation.operationId },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path), " ",
      operation.summary || "", secured ? element("span", { class: "lock" }, optional ? "token optional" : "token") : ""));
  if (operation.description) view.append(element("p", {}, operation.description));
  if (operation.parameters.length) {
    view.append(element("h4", {}, "Parameters"), fieldTable(operation.parameters.map(
      (one) => [one.name, one.required, one.schema, [one.in, one.description].filter(Boolean).join(": ")])));
  }
  if (operation.requestBody) view.append(element("h4", {}, "Body"), ...contentOf(operation.requestBody));
  view.append(element("h4", {}, "Answers"));
  for (const [status, answer] of Object.entries(operation.responses)) {
    view.append(element("div", {}, element("b", {}, status), " ", answer.description, contentOf(answer)));
  }
  view.dataset.words = [path, method, operation.summary, ...(operation.tags || [])].join(" ").toLowerCase();
  return view;
}

function render(api) {
  document.getElementById("title").textContent = api.info.title + " API " + api.info.version;
  const operations = document.getElementById("operations");
  const tags = document.getElementById("tags");
  operations.replaceChildren(element("pre", {}, api.info.description));
  for (const tag of api.tags) {
    tags.append(element("a", { href: "#tag-" + tag.name }, tag.name));
    operations.append(element("h2", { id: "tag-" + tag.name }, tag.name));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags[0] === tag.name) operations.append(operationView(path, method, operation));
      }
    }
  }
  const schemas = document.getElementById("schemas");
  schemas.append(element("h2", {}, "Schemas"));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    schemas.append(element("details", { id: "schema-" + name }, element("summary", {}, element("code", {}, name)),
      schema.description ? element("p", {}, schema.description) : "", schemaView(schema)));
  }
  openTarget();
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const view of document.querySelectorAll("#operations details")) view.hidden = !view.dataset.words.includes(wanted);
});
window.addEventListener("hashchange", openTarget);

fetch("/api/openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => { document.getElementById("operations").textContent = "The document could not be read: " + error.message; });
