// A password in; a session, and the page that was wanted, out.

import { post } from "../api.js";
import { append, fill, h } from "../dom.js";
import { live } from "../live.js";
import { code } from "../parts/states.js";

export const title = () => "Sign in";

export async function open(main, _scope, _key, query) {
  const refused = query.has("refused");
  if (live.session?.link) {
    append(main, [
      h(
        "section.card.form",
        null,
        h("h1", null, refused ? "This link is no longer good" : "Open the link that was printed"),
        h("p", null, ...code("`lockstep dashboard` prints a link with a token when it starts; open that one. It is made anew at every start.")),
        h("p.note", null, ...code("Would you rather have a password? Set dashboard.password; docs/security.md says how.")),
      ),
    ]);
    return;
  }
  const password = h("input", { type: "password", id: "password", autocomplete: "current-password", required: true });
  const outcome = h("div", { role: "alert" }, refused ? h("p.bad", null, "That was refused.") : "");
  const button = h("button.large", { type: "submit" }, "Sign in");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await post("/login", { password: password.value });
      location.assign(target(query.get("to")));
    } catch (error) {
      fill(outcome, h("p.bad", null, error.message));
      button.disabled = false;
      password.select();
    }
  };
  append(main, [h("form.card.form", { onsubmit: send }, h("h1", null, "Sign in"), h("div.field", null, h("label", { for: "password" }, "Password of this dashboard"), password), outcome, button)]);
  password.focus();
}

/** Only a path of ours: an address from outside could lead anywhere. */
function target(wanted) {
  return wanted && /^\/(?![/\\])/.test(wanted) && !wanted.startsWith("/login") ? wanted : "/";
}
