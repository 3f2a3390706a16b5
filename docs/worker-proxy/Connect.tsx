// The same as connect.html for an application in React: <Connect supabase={client} />, for somebody who is signed in.
// It has no style of its own: connect.css has the names of the classes. Copy numbers.js and words.js beside it.

import { useEffect, useRef, useState } from "react";
import type { FormEvent } from "react";
import type { SupabaseClient } from "@supabase/supabase-js";
import { openNumbers, phoneOf, qrPicture, QR_LIFE, secondsTo } from "./numbers.js";
import type { News, Numbers, Row } from "./numbers.js";
import { errorOf, stateOf, wordsFor } from "./words.js";
import type { Words } from "./words.js";

type Call = (name: string, args: Record<string, string>) => Promise<boolean>;

export function Connect({ supabase, languages = navigator.languages }: {
  supabase: SupabaseClient;
  languages?: readonly string[];
}) {
  const { language, words } = wordsFor(languages);
  const [news, setNews] = useState<News | null>(null);
  const [problem, setProblem] = useState("");
  const numbers = useRef<Numbers | null>(null);

  useEffect(() => {
    const opened = openNumbers(supabase, setNews, (error) => setProblem(errorOf(words, error as object)));
    numbers.current = opened;
    return () => {
      numbers.current = null;
      opened.close();
    };
  }, [supabase]);

  const call: Call = async (name, args) => {
    setProblem("");
    try {
      await numbers.current?.call(name, args);
      return true;
    } catch (error) {
      setProblem(errorOf(words, error as object));
      return false;
    }
  };

  return (
    <section lang={language} aria-label={words.title}>
      <p className="problem" role="alert">{problem}</p>
      <p className="news" role="status">
        {news === null ? words.loading : news.live ? words.live : words.polling}
        {news?.rows.length === 0 && ` · ${words.none}`}
      </p>
      <ul>
        {news?.rows.map((row) => <Card key={row.id} {...{ row, words, language, call }} />)}
      </ul>
      <Field label={words.name} button={words.create} max={80}
        act={(name) => call("wa_create_instance", { p_name: name })} />
    </section>
  );
}

function Card({ row, words, language, call }: { row: Row; words: Words; language: string; call: Call }) {
  const { look, state, why } = stateOf(words, row, language);
  const name = row.name ?? row.id;
  const mine = { p_id: row.id };
  const picture = qrPicture(row);
  const pairs = row.enabled && row.status !== "CONNECTED" && row.jid === null;
  return (
    <li className="card" data-look={look}>
      <h2>{name}</h2>
      <p className="state"><span className="badge">{state}</span> <span className="phone">{phoneOf(row)}</span></p>
      <p className="why" role="status">{why}</p>
      {picture && <Code key={picture} picture={picture} words={words} name={name} />}
      {pairs && (
        <div className="pair">
          {row.pair_phone && <p>{row.pairing_code ? words.codeHow : words.codeWait}</p>}
          {row.pairing_code && <output className="code">{row.pairing_code}</output>}
          {row.pairing_code && row.pairing_expires_at &&
            <Countdown until={Date.parse(row.pairing_expires_at)} text={words.codeLeft} />}
          <details>
            <summary>{words.byCode}</summary>
            <Field label={words.phone} button={words.getCode} type="tel"
              act={(phone) => call("wa_pair_by_code", { ...mine, p_phone: phone })} />
            {row.pair_phone &&
              <button type="button" onClick={() => void call("wa_pair_by_qr", mine)}>{words.byQr}</button>}
          </details>
        </div>
      )}
      <p className="buttons">
        {row.enabled
          ? <button type="button" onClick={() => void call("wa_stop_instance", mine)}>{words.stop}</button>
          : <button type="button" onClick={() => void call("wa_start_instance", mine)}>{words.start}</button>}
      </p>
      <details className="more">
        <summary>{words.more}</summary>
        <Field label={words.name} button={words.rename} max={80}
          act={(wanted) => call("wa_rename_instance", { ...mine, p_name: wanted })} />
        <button type="button" onClick={() => confirm(words.removeSure) && void call("wa_delete_instance", mine)}>
          {words.remove}
        </button>
      </details>
    </li>
  );
}

function Code({ picture, words, name }: { picture: string; words: Words; name: string }) {
  const [over] = useState(() => Date.now() + QR_LIFE);
  return (
    <div className="scan">
      <p>{words.scanHow}</p>
      <img src={picture} width={264} height={264} alt={`${words.scanAlt}: ${name}`} />
      <Countdown until={over} text={words.nextCode} after={words.codeOver} />
    </div>
  );
}

function Countdown({ until, text, after }: { until: number; text: string; after?: string }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = secondsTo(until);
  return <p className="countdown">{left === 0 && after ? after : text.replace("{n}", String(left))}</p>;
}

/** One field and its button. It is emptied once that went well. */
function Field({ label, button, act, type = "text", max }: {
  label: string;
  button: string;
  act: (value: string) => Promise<boolean>;
  type?: string;
  max?: number;
}) {
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    if (await act(value)) setValue("");
    setBusy(false);
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <label>
        {label} <input type={type} maxLength={max} required value={value} onChange={(e) => setValue(e.target.value)} />
      </label>
      <button type="submit" disabled={busy}>{button}</button>
    </form>
  );
}
