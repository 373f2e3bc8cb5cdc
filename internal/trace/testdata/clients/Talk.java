// Sends with okhttp what each line says: method, URL, body and headers with a tab
// between. It answers a line for each. Arguments: FROM=TO, where a port is.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.*;
import java.util.concurrent.TimeUnit;
import javax.net.SocketFactory;
import javax.net.ssl.*;
import okhttp3.*;

public class Talk {
  static final Map<Integer, Integer> ports = new HashMap<>();

  /** A connection to where the port is on this machine. */
  static class Here extends Socket {
    @Override public void connect(SocketAddress to, int timeout) throws java.io.IOException {
      int port = ((InetSocketAddress) to).getPort();
      super.connect(new InetSocketAddress("127.0.0.1", ports.getOrDefault(port, port)), timeout);
    }
  }

  static class Sockets extends SocketFactory {
    public Socket createSocket() { return new Here(); }
    public Socket createSocket(String h, int p) { throw new UnsupportedOperationException(); }
    public Socket createSocket(InetAddress h, int p) { throw new UnsupportedOperationException(); }
    public Socket createSocket(String h, int p, InetAddress l, int q) { throw new UnsupportedOperationException(); }
    public Socket createSocket(InetAddress h, int p, InetAddress l, int q) { throw new UnsupportedOperationException(); }
  }

  /** The certificate of a test server. */
  static class Anybody implements X509TrustManager {
    public void checkClientTrusted(X509Certificate[] chain, String type) {}
    public void checkServerTrusted(X509Certificate[] chain, String type) {}
    public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
  }

  public static void main(String[] args) throws Exception {
    for (String arg : args) {
      ports.put(Integer.valueOf(arg.split("=")[0]), Integer.valueOf(arg.split("=")[1]));
    }
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, new TrustManager[] {new Anybody()}, new SecureRandom());
    OkHttpClient client = new OkHttpClient.Builder()
        .proxy(Proxy.NO_PROXY)
        .readTimeout(2, TimeUnit.MINUTES)
        .connectTimeout(2, TimeUnit.MINUTES)
        .dns(host -> List.of(InetAddress.getByAddress(host, new byte[] {127, 0, 0, 1})))
        .socketFactory(new Sockets())
        .sslSocketFactory(tls.getSocketFactory(), new Anybody())
        .hostnameVerifier((host, session) -> true)
        .build();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    System.out.println("okhttp " + okhttp3.internal.Version.userAgent());
    for (String line; (line = in.readLine()) != null; ) {
      System.out.println(send(client, line.split("\t", -1)));
    }
    client.dispatcher().executorService().shutdown();
    client.connectionPool().evictAll();
  }

  static String send(OkHttpClient client, String[] fields) {
    String method = fields[0];
    RequestBody body = null;
    if (!fields[2].isEmpty() || List.of("POST", "PUT", "PATCH").contains(method)) {
      body = RequestBody.create(null, fields[2].getBytes(StandardCharsets.UTF_8));
    }
    Request.Builder request = new Request.Builder().url(fields[1]).method(method, body);
    for (int i = 3; i < fields.length; i++) {
      request.addHeader(fields[i].split(": ", 2)[0], fields[i].split(": ", 2)[1]);
    }
    try (Response response = client.newCall(request.build()).execute()) {
      return "ok";
    } catch (Exception e) {
      return e.toString().replace('\n', ' ');
    }
  }
}
