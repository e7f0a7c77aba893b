"""One BitTorrent peer: torrent-client.py TORRENT FOLDER ADDRESS UPLOAD_LIMIT PARENT THROUGH. Adds a byte to THROUGH when it has everything; "-": it has."""

import os
import sys
import time

import libtorrent as lt

torrent, folder, address, limit, parent, through = sys.argv[1:7]
session = lt.session(
    {
        "listen_interfaces": address + ":0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "in_enc_policy": 2,
        "out_enc_policy": 2,
        "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1,
        "connections_limit": 500,
        "upload_rate_limit": int(limit),
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    }
)
if int(limit) > 0:
    # By default what is near is not held to any limit.
    for peer_class in (lt.session.global_peer_class_id, lt.session.local_peer_class_id):
        facts = session.get_peer_class(peer_class)
        facts["upload_limit"] = int(limit)
        session.set_peer_class(peer_class, facts)
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
if through == "-":
    params.flags |= lt.torrent_flags.seed_mode
handle = session.add_torrent(params)
handle.unset_flags(lt.torrent_flags.auto_managed)
handle.resume()
said = through == "-"
while os.getppid() == int(parent):
    if not said and handle.status().is_seeding:
        with open(through, "a") as file:
            file.write("x")
        said = True
    session.wait_for_alert(100 if not said else 1000)
    session.pop_alerts()
    time.sleep(0.005)
