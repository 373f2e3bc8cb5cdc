<?php
// What an administrator sets up, as plugins: no mail, and the editor without scripts
// for pages, as the plugin Classic Editor has it for all.
function wp_mail() { return true; }
add_filter('use_block_editor_for_post_type', function ($use, $type) { return $type !== 'page' && $use; }, 10, 2);
