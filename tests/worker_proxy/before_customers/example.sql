-- The example policies that migration.sql had as comments, as somebody put them into force.
grant select on table
  public.wa_instances, public.wa_messages, public.wa_inbound, public.wa_reactions, public.wa_receipts,
  public.wa_chat_events
to authenticated;
grant insert (
  instance_id, "to", body, type, media, context, reaction, edit, revoke, location, contacts, poll, mentions, typing_ms)
on table public.wa_messages to authenticated;
create policy "own instances" on public.wa_instances for select to authenticated
  using (tenant_id = (select auth.uid()));
create policy "own messages" on public.wa_messages for select to authenticated
  using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "queue own messages" on public.wa_messages for insert to authenticated
  with check (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "own inbound" on public.wa_inbound for select to authenticated
  using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "own reactions" on public.wa_reactions for select to authenticated
  using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "own receipts" on public.wa_receipts for select to authenticated
  using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "own events" on public.wa_chat_events for select to authenticated
  using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
create policy "own files" on storage.objects for select to authenticated
  using (bucket_id = 'wa-media' and (storage.foldername(name))[1] = (select auth.uid()::text));
