CREATE TABLE `client_certificates` (
	`fingerprint` text PRIMARY KEY NOT NULL,
	`account_id` integer NOT NULL,
	`note` text NOT NULL,
	`created_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `client_certificates_account` ON `client_certificates` (`account_id`,`fingerprint`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `scram` text;--> statement-breakpoint
CREATE INDEX `accounts_without_scram` ON `accounts` (`id`) WHERE scram IS NULL AND password_hash IS NOT NULL;--> statement-breakpoint
ALTER TABLE `queue_messages` ADD `tls` text DEFAULT '' NOT NULL;