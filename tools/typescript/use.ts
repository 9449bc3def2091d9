// What an app does with the client that is generated from the served contract; it is compiled and never run.
import createClient from "openapi-fetch";
import type { paths } from "./schema";

const sendtip = createClient<paths>({ baseUrl: "http://localhost:8080" });

export async function name(): Promise<string> {
  const { data, error } = await sendtip.GET("/v1/me");
  if (error) throw new Error(error.code);
  return data.user_id;
}

export async function send(quote: string, key: string, approval: string): Promise<number> {
  const { data, error } = await sendtip.POST("/v1/transfers", {
    params: { header: { "Idempotency-Key": key, "Step-Up-Token": approval } },
    body: { quote_id: quote },
  });
  if (error) throw new Error(error.code);
  return data.amount.amount;
}
