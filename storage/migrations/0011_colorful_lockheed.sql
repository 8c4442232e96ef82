CREATE TABLE `queue_events` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`hook` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL,
	`attempts` integer NOT NULL,
	`next_attempt_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `queue_events_due` ON `queue_events` (`next_attempt_at`);--> statement-breakpoint
DROP INDEX `queue_recipients_destination`;--> statement-breakpoint
CREATE INDEX `queue_recipients_destination` ON `queue_recipients` (`destination`,`held`,`next_attempt_at`);--> statement-breakpoint
ALTER TABLE `domains` ADD `relay_recipients` text DEFAULT 'any' NOT NULL;--> statement-breakpoint
ALTER TABLE `queue_messages` ADD `priority` integer DEFAULT 0 NOT NULL;